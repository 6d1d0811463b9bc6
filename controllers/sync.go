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

// warmer derives the verifiers of plain passwords in the background, one at a time,
// so that few logins have to.
type warmer struct {
	directory *directory.Directory
	wake      chan string
}

// warmQueue bounds what waits; what does not fit is derived at its first login.
const warmQueue = 4096

func newWarmer(d *directory.Directory) *warmer {
	w := &warmer{directory: d, wake: make(chan string, warmQueue)}
	d.Watch(func(e directory.Event) {
		if _, u := e.Users(); u != nil && (e.CredentialChanged || e.Old == nil) {
			select {
			case w.wake <- u.Username:
			default:
			}
		}
	})
	return w
}

func (w *warmer) NeedLeaderElection() bool { return false }

// Start runs until the context ends.
func (w *warmer) Start(ctx context.Context) error {
	select {
	case <-w.directory.Synced():
	case <-ctx.Done():
		return nil
	}
	for _, u := range w.directory.Users() {
		if ctx.Err() != nil {
			return nil
		}
		w.warm(u.Username)
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case username := <-w.wake:
			w.warm(username)
		}
	}
}

func (w *warmer) warm(username string) {
	if account, ok := w.directory.Account(username); ok && !account.Secret.Ready() {
		account.Secret.Credential()
	}
}
