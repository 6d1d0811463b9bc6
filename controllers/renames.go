package controllers

import (
	"context"
	"errors"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/controllers/provision"
	"github.com/chat-operator/chat-operator/xmpp/audit"
	"github.com/chat-operator/chat-operator/xmpp/directory"
)

// renames finishes what whoever renamed an account could not: because it died, or because the API server was away. It works on the leader
// only, wakes when a ChatUser appears that takes the place of another, and sleeps when there is none.
type renames struct {
	errands
	cache     client.Reader
	provision *provision.Provisioner
	log       logr.Logger
	namespace string
	// audit has what this finishes; nil: nobody wants to know.
	audit *audit.Config
}

const (
	// renameGrace leaves a rename to whoever began it.
	renameGrace = 10 * time.Second
	retryRename = 10 * time.Second
)

// renameIndex finds the ChatUsers in the cache that take the place of another.
const renameIndex = "renaming"

func renameIndexer(obj client.Object) []string {
	if _, ok := obj.GetAnnotations()[v1alpha1.RenamedFromAnnotation]; ok {
		return []string{"true"}
	}
	return nil
}

// awaits says that a user is not in force yet, as it takes the place of another that is there still.
func awaits(u *v1alpha1.ChatUser) bool { return u.Annotations[v1alpha1.AwaitsAnnotation] != "" }

func (r *renames) seen(u *v1alpha1.ChatUser) {
	if len(renameIndexer(u)) > 0 {
		r.provision.Replaces(u)
		r.poke()
	}
}

// Start runs until the context ends.
func (r *renames) Start(ctx context.Context) error {
	r.run(ctx, r.finish)
	return nil
}

// finish goes on with the renames that are old enough, and says how soon to look again; 0: when something happens.
func (r *renames) finish(ctx context.Context) (wait time.Duration) {
	var users v1alpha1.ChatUserList
	if err := r.cache.List(ctx, &users, client.InNamespace(r.namespace), client.MatchingFields{renameIndex: "true"}); err != nil {
		r.log.Error(err, "Could not look for renamed users; trying again", "in", retryRename)
		return retryRename
	}
	for i := range users.Items {
		u := &users.Items[i]
		if age := r.clock.Since(u.CreationTimestamp.Time); age < renameGrace {
			wait = max(wait, renameGrace-age)
			continue
		}
		_, err := r.provision.FinishRename(ctx, directory.Actor{Via: "server"}, u, r.record)
		switch {
		case err == nil:
			r.log.Info("Finished the renaming of a user", "chatUser", u.Name)
		case ctx.Err() != nil:
			return 0
		case errors.Is(err, directory.ErrNotFound):
		case errors.Is(err, provision.ErrForged):
			r.log.Info("A ChatUser only pretends to take the place of another", "chatUser", u.Name, "reason", err.Error())
		default:
			r.log.Error(err, "Could not finish the renaming of a user; trying again", "chatUser", u.Name, "in", retryRename)
			wait = retryRename
		}
	}
	return wait
}

// record writes who asked for a rename, unless that was done when it was asked for.
func (r *renames) record(ctx context.Context, done provision.Renaming) error {
	if r.audit == nil {
		return nil
	}
	if done.By == (directory.Actor{}) {
		done.By.Via = "server"
	}
	details := []string{audit.Detail("renamed from", done.From)}
	for _, where := range done.Left {
		details = append(details, audit.Detail("left", where))
	}
	e := audit.Ending{By: done.By, Summary: audit.Summary(directory.KindUser, audit.Changed, done.To), Details: details, UID: done.UID}
	return r.audit.RecordOnce(ctx, e, done.Begun, details[0])
}
