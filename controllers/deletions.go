package controllers

import (
	"context"
	"time"

	"github.com/go-logr/logr"

	"github.com/chat-operator/chat-operator/controllers/provision"
	"github.com/chat-operator/chat-operator/xmpp/directory"
)

// deletions finishes what whoever deleted a user or a group through this program could not: because it died, or because the API server was away. It works on
// the leader only, wakes when there is something left, and sleeps when there is nothing.
type deletions struct {
	errands
	provision *provision.Provisioner
	log       logr.Logger
}

const retryDeletion = 10 * time.Second

// Start runs until the context ends.
func (d *deletions) Start(ctx context.Context) error {
	d.run(ctx, func(ctx context.Context) time.Duration {
		if err := d.provision.FinishDeletions(ctx, directory.Actor{Via: "server"}); err != nil && ctx.Err() == nil {
			d.log.Error(err, "Could not change everything that names something deleted; trying again", "in", retryDeletion)
			return retryDeletion
		}
		return 0
	})
	return nil
}
