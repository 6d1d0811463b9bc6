package transfer

import (
	"fmt"
	"slices"

	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/store"
)

// checkRow says what the server could not work with in a row: an export is a file, and anybody may have changed it.
func checkRow(c *carrier, row store.Row) error {
	if c.person != "" {
		if err := checkUsername(row[c.person].(string)); err != nil {
			return err
		}
	}
	switch c.table {
	case tableIdentity:
		states := []string{string(store.Active), string(store.Pending)}
		if kind, state := row["kind"].(string), row["state"].(string); !keepsData(kind) || !slices.Contains(states, state) {
			return fmt.Errorf("the name %q is a %q and %q, which is not known", row["name"], kind, state)
		}
	case tableRoom:
		if from := row["subject_from"].(string); from != "" {
			if _, err := jid.Parse(from); err != nil {
				return fmt.Errorf("who set the subject of the room %q: %w", row["name"], err)
			}
		}
	case tableNickname:
		if _, err := jid.Parse(row["jid"].(string)); err != nil {
			return fmt.Errorf("who has a nickname in the room %q: %w", row[roomName], err)
		}
	}
	if text, ok := row["stanza"].([]byte); ok {
		if _, err := parseKept(text); err != nil {
			return fmt.Errorf("a message: %w", err)
		}
	}
	return nil
}

// checkUsername refuses what is not written as the server writes it.
func checkUsername(username string) error {
	prepared, err := jid.PrepareLocal(username)
	if err == nil && prepared != username {
		err = fmt.Errorf("it has to be written %q", prepared)
	}
	if err != nil {
		return fmt.Errorf("the username %q: %w", username, err)
	}
	return nil
}
