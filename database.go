package main

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"

	"github.com/chat-operator/chat-operator/xmpp/store"
)

// openDatabase opens the database of --data-dir, unless it is that of another server.
func openDatabase(ctx context.Context, o *options, log *slog.Logger) (*store.Store, error) {
	data, err := store.Open(ctx, filepath.Join(o.dataDir, "chat.db"), log)
	if err != nil {
		return nil, err
	}
	if err = data.CheckDomain(ctx, o.domain); err == nil {
		err = data.CheckNamespace(ctx, o.namespace, o.moveFrom)
	}
	if err != nil {
		return nil, errors.Join(err, data.Close())
	}
	return data, nil
}

// claimDatabase makes the database that of this server. It comes when the namespace is known to be there: after a start with a misspelled one, the right one
// is not that of another server.
func claimDatabase(ctx context.Context, data *store.Store, o *options) error {
	if err := data.ClaimDomain(ctx, o.domain); err != nil {
		return err
	}
	return data.ClaimNamespace(ctx, o.namespace, o.moveFrom)
}
