package transfer

import (
	"encoding/csv"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/auth"
	"github.com/chat-operator/chat-operator/xmpp/jid"
)

// What Openfire's plugin "User Import Export" writes: an element a user under the root Openfire, in no namespace. Its readme describes it.

// Values of the attributes of a contact there.
const (
	openfireSubRemoved      = -1
	openfireAskSubscribe    = 0
	openfireRecvSubscribe   = 1
	openfireNothing         = -1
	openfireHighestSubValue = 3
)

// convertOpenfireXML makes an export of the users of an Openfire, as its plugin writes them down.
func (c *conversion) convertOpenfireXML(r io.Reader) error {
	x := newXMLReader(r)
	start, err := x.root()
	if err != nil {
		return err
	}
	if start.Name.Local != "Openfire" && start.Name.Local != "OpenfireUsers" && start.Name.Local != "Wildfire" {
		return x.explain(fmt.Errorf("it begins with %s, which is not what Openfire writes", start.Name.Local))
	}
	if c.domain == "" {
		return &UsageError{errors.New("a list of Openfire's users does not tell their domain: give --domain")}
	}
	c.begin()
	c.progress.begin("users", 0)
	var asName []string
	err = x.children(func(child xml.StartElement) error {
		if child.Name.Local != "User" {
			c.notes.add(fmt.Sprintf("The element %s is not known and was left out", child.Name.Local))
			return x.skip()
		}
		u, err := c.readOpenfireUser(x)
		if err != nil {
			return err
		}
		c.progress.step()
		if u.password != "" && u.password == u.username {
			// That is what the plugin writes when it cannot tell the password: whoever knows the name could log in.
			u.password = ""
			if u.credential.IsZero() {
				asName = append(asName, u.username)
			}
		}
		return c.user(u)
	})
	if err != nil {
		return err
	}
	for _, username := range asName {
		if local, err := jid.PrepareLocal(username); err == nil && c.keys[local].IsZero() {
			c.notes.add(fmt.Sprintf("The password of %s is not in the list: in its place stands the username, as Openfire writes it when it keeps passwords hashed", username))
		}
	}
	return c.finish()
}

// readOpenfireUser reads one user, whose start tag has been read. Its elements come in any order.
func (c *conversion) readOpenfireUser(x *xmlReader) (*foreignUser, error) {
	u := &foreignUser{person: &person{}}
	scram := map[string]string{}
	err := x.children(func(child xml.StartElement) (err error) {
		switch name := child.Name.Local; name {
		case "Username":
			u.username, err = x.text()
			u.username = strings.TrimSpace(u.username)
		case "Password":
			u.password, err = x.text()
		case "Email":
			u.email, err = x.text()
		case "Name":
			u.name, err = x.text()
		case "CreationDate":
			text, failed := x.text()
			u.created, err = openfireDate(text), failed
		case "ModifiedDate":
			err = x.skip() // a resource tells that of itself
		case "StoredKey", "ServerKey", "Salt", "Iterations":
			scram[name], err = x.text()
		case "Roster":
			err = x.children(func(item xml.StartElement) error { return c.readOpenfireItem(x, item, u) })
		default:
			c.notes.add(fmt.Sprintf("The element %s of a user is not known and was left out", name))
			err = x.skip()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if u.username == "" {
		return nil, x.explain(errors.New("a user has no Username"))
	}
	if len(scram) > 0 {
		v, err := verifier(auth.SHA1, scram["Iterations"], scram["Salt"], scram["StoredKey"], scram["ServerKey"])
		if err != nil {
			c.notes.add(fmt.Sprintf("The SCRAM keys of %s cannot be taken over: %v", u.username, err))
		} else {
			u.credential.SHA1 = v
		}
	}
	return u, nil
}

// openfireDate reads a time as Openfire writes it: milliseconds since 1970, with zeros before them in its database.
func openfireDate(text string) time.Time {
	ms, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil || ms <= 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

func (c *conversion) readOpenfireItem(x *xmlReader, item xml.StartElement, u *foreignUser) error {
	if item.Name.Local != "Item" {
		return x.skip()
	}
	one := contact{jid: attribute(item, "", "jid"), name: attribute(item, "", "name")}
	number := func(name string) (int, error) {
		text := attribute(item, "", name)
		if text == "" {
			return openfireNothing, nil
		}
		n, err := strconv.Atoi(text)
		if err != nil {
			return 0, x.explain(fmt.Errorf("%s of the contact %q of %s is %q, and has to be a number", name, one.jid, u.username, text))
		}
		return n, nil
	}
	ask, errAsk := number("askstatus")
	received, errReceived := number("recvstatus")
	sub, errSub := number("substatus")
	if err := errors.Join(errAsk, errReceived, errSub); err != nil {
		return err
	}
	if err := x.children(func(child xml.StartElement) error {
		text, err := x.text()
		if text = strings.TrimSpace(text); text != "" && child.Name.Local == "Group" {
			one.groups = append(one.groups, text)
		}
		return err
	}); err != nil {
		return err
	}
	slices.Sort(one.groups)
	one.groups = slices.Compact(one.groups)
	one.pendingIn = received == openfireRecvSubscribe
	switch {
	case sub == openfireSubRemoved && attribute(item, "", "substatus") != "":
		return nil // it was to be removed
	case sub > openfireHighestSubValue:
		c.notes.add(fmt.Sprintf("The contact %q of %s is left out, since its substatus %d is not known", one.jid, u.username, sub))
		return nil
	case sub > 0:
		one.subscription = int64(sub)
	}
	one.ask = ask == openfireAskSubscribe && one.subscription&1 == 0
	one.pendingIn = one.pendingIn && one.subscription&2 == 0
	u.contacts = append(u.contacts, one)
	return nil
}

// maxKeys bounds the file of SCRAM keys.
const maxKeys = 256 << 20

// readScramKeys reads the columns of Openfire's table ofUser that its SCRAM-SHA-1 is made of, as CSV with their names in the first line: username,
// storedKey, serverKey, salt, iterations. Users without keys are passed over.
func readScramKeys(r io.Reader) (map[string]auth.Credential, error) {
	lines := csv.NewReader(io.LimitReader(r, maxKeys))
	lines.ReuseRecord = true
	header, err := lines.Read()
	if err != nil {
		return nil, fmt.Errorf("its first line has to name the columns: %w", err)
	}
	at := map[string]int{}
	for i, name := range header {
		at[strings.ToLower(strings.TrimSpace(strings.TrimPrefix(name, "\ufeff")))] = i
	}
	wanted := []string{"username", "storedkey", "serverkey", "salt", "iterations"}
	for _, name := range wanted {
		if _, ok := at[name]; !ok {
			return nil, fmt.Errorf("it has no column %s: its first line has to be username,storedKey,serverKey,salt,iterations", name)
		}
	}
	keys := map[string]auth.Credential{}
	for {
		line, err := lines.Read()
		if errors.Is(err, io.EOF) {
			return keys, nil
		}
		if err != nil {
			return nil, err
		}
		row, _ := lines.FieldPos(0)
		username, err := jid.PrepareLocal(strings.TrimSpace(line[at["username"]]))
		stored := strings.TrimSpace(line[at["storedkey"]])
		if stored == "" || strings.EqualFold(stored, "null") || stored == `\N` {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: the username: %w", row, err)
		}
		v, err := verifier(auth.SHA1, line[at["iterations"]], line[at["salt"]], stored, line[at["serverkey"]])
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", row, err)
		}
		keys[username] = auth.Credential{SHA1: v}
	}
}
