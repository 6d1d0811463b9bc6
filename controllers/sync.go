package controllers

import (
	"context"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/tools/cache"

	"github.com/chat-operator/chat-operator/xmpp/directory"
)

// resolveWithin bounds how long the start waits for values that come from Secrets.
const resolveWithin = 10 * time.Second

// syncer says when everything declared is in the directory.
type syncer struct {
	directory     *directory.Directory
	properties    *systemProperties
	registrations []cache.ResourceEventHandlerRegistration
	log           logr.Logger
}

func (s *syncer) NeedLeaderElection() bool { return false }

// Start waits until the handlers have had every object that was there.
func (s *syncer) Start(ctx context.Context) error {
	for _, r := range s.registrations {
		select {
		case <-r.HasSyncedChecker().Done():
		case <-ctx.Done():
			return nil
		}
	}
	within, cancel := context.WithTimeout(ctx, resolveWithin)
	defer cancel()
	if err := s.properties.resolveAll(within); err != nil {
		s.log.Error(err, "Could not read all system properties that come from Secrets yet; trying again")
	}
	s.directory.MarkSynced()
	counts := s.directory.Counts()
	s.log.Info("Synced", "users", counts[directory.KindUser], "groups", counts[directory.KindGroup],
		"rooms", counts[directory.KindRoom], "properties", counts[directory.KindProperty])
	return nil
}
