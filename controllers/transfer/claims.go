package transfer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/xmpp/directory"
)

// claim says who claims a chat name that several resources declare. The server goes by when they were made, which is another time where they are
// read in: without this, the password of another one would open the account.
type claim struct {
	Kind string `json:"kind"`
	// Name is the chat name.
	Name string `json:"name"`
	// Resources are in the order of their claims: the first holds the name.
	Resources []string `json:"resources"`
}

// refTo is what the server decides claims by.
func refTo(o client.Object) *directory.Ref {
	return &directory.Ref{Name: o.GetName(), UID: string(o.GetUID()), Created: o.GetCreationTimestamp().Time}
}

// compareClaims orders resources of one chat name as the server does. What is being deleted holds nothing.
func compareClaims(a, b client.Object) int {
	switch leaves := a.GetDeletionTimestamp() != nil; {
	case leaves != (b.GetDeletionTimestamp() != nil):
		if leaves {
			return 1
		}
		return -1
	case refTo(a).Before(refTo(b)):
		return -1
	}
	return 1
}

// claims are the resources of each chat name, in the order of their claims.
func (r *resources) claims() map[name][]client.Object { return r.claimsBy(compareClaims) }

func (r *resources) claimsBy(compare func(a, b client.Object) int) map[name][]client.Object {
	list := map[name][]client.Object{}
	_ = r.each(func(folder string, o client.Object) error {
		if identity, ok := chatName(o); ok && folder != kindSecrets {
			list[identity] = append(list[identity], o)
		}
		return nil
	})
	for _, claimants := range list {
		if len(claimants) > 1 {
			slices.SortFunc(claimants, compare)
		}
	}
	return list
}

// contested are the names that several resources claim.
func contested(claims map[name][]client.Object) (list []claim) {
	for identity, claimants := range claims {
		if len(claimants) < 2 {
			continue
		}
		c := claim{Kind: kindOf(claimants[0]), Name: identity.name}
		for _, o := range claimants {
			c.Resources = append(c.Resources, o.GetName())
		}
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b claim) int { return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Name, b.Name)) })
	return list
}

// claims are the resources of each chat name in the order that the export tells, and those that it does not tell of by when they were made.
func (b *bundle) claims() map[name][]client.Object {
	type resource struct{ kind, name string }
	places := map[resource]int{}
	for _, c := range b.index.Claims {
		for i, name := range c.Resources {
			places[resource{c.Kind, name}] = i - len(c.Resources) // below 0, where what is not told of is
		}
	}
	return b.declared.claimsBy(func(one, other client.Object) int {
		return cmp.Or(
			cmp.Compare(places[resource{kindOf(one), one.GetName()}], places[resource{kindOf(other), other.GetName()}]),
			cmp.Compare(madeAt(one), madeAt(other)),
			strings.Compare(one.GetName(), other.GetName()))
	})
}

// madeAt is the second in which something was made where it comes from; what does not tell is the youngest.
func madeAt(o client.Object) int64 {
	made, err := time.Parse(time.RFC3339, o.GetAnnotations()[v1alpha1.CreatedAtAnnotation])
	if err != nil {
		return 1<<63 - 1
	}
	return made.Unix()
}

// inOrder are the chat resources of the export as they are made: those of one chat name follow each other in the order of their claims.
func (b *bundle) inOrder(claims map[name][]client.Object) []client.Object {
	list := make([]client.Object, 0, b.declared.count())
	done := map[client.Object]bool{}
	_ = b.declared.each(func(folder string, o client.Object) error {
		if folder == kindSecrets || done[o] {
			return nil
		}
		claimants := []client.Object{o}
		if identity, ok := chatName(o); ok {
			claimants = claims[identity]
		}
		for _, one := range claimants {
			done[one] = true
		}
		list = append(list, claimants...)
		return nil
	})
	return list
}

// comesBefore says whether the claimant of that name has a better claim than o.
func comesBefore(claimants []client.Object, resource string, o client.Object) bool {
	for _, one := range claimants {
		if one == o {
			return false
		}
		if one.GetName() == resource {
			return true
		}
	}
	return false
}

// queues are the units that have to be made one after the other: those of one chat name, which follow each other. Any other is a queue by itself.
func queues(units []unit) (list [][]unit) {
	var last name
	for _, u := range units {
		var identity name
		claims := false
		if u.main != nil {
			identity, claims = chatName(u.main.object)
		}
		if n := len(list); claims && identity == last {
			list[n-1] = append(list[n-1], u)
		} else {
			list = append(list, []unit{u})
		}
		last = identity
	}
	return list
}

// makeQueue makes units one after the other. After each, done is told what came of it; an error is that nothing more can be made at all.
func (m *importer) makeQueue(ctx context.Context, queue []unit, done func(u unit, first bool, err error)) error {
	var last *directory.Ref
	for i, u := range queue {
		if u.main != nil {
			u.main.after = last
		}
		err := m.makeUnit(ctx, u)
		done(u, i == 0, err)
		if err != nil && !isRefused(err) {
			return err
		}
		if u.main == nil {
			continue
		}
		switch there := m.there.find(u.main.object); {
		case there != nil:
			last = refTo(there)
		case err != nil:
			// Who comes next would have the name.
			for _, next := range queue[i+1:] {
				if err := m.withoutHolder(ctx, next, u.main); err != nil {
					return err
				}
				done(next, false, nil)
			}
			return nil
		case u.main.action == create:
			last = refTo(u.main.object)
		}
	}
	return nil
}

// withoutHolder counts a resource as failed that is not made, since one with a better claim to its chat name was not. Its Secrets are made, as those of
// one that the API server refuses.
func (m *importer) withoutHolder(ctx context.Context, u unit, holder *step) error {
	for _, s := range u.secrets {
		if err := m.makeOne(ctx, s); err != nil && !isRefused(err) {
			return err
		}
	}
	if u.main.action == leave {
		return nil
	}
	what := kindOf(u.main.object)
	m.report.fail(what, "%s %q failed, since %q did, whose claim to their chat name is the better one", what, u.main.object.GetName(), holder.object.GetName())
	m.report.take(what, u.main.action)
	u.main.without = true
	return nil
}

// claimDelay is how long the clock of the API server takes to show another second.
const claimDelay = time.Second + 50*time.Millisecond

// errTakesName says that a resource would have taken a chat name that is another's.
var errTakesName = errors.New("it was taken away again, since it would have taken the chat name")

// create makes a resource. One that claims a name after another has to be younger than that, by its time in seconds or, within one, by its name.
func (m *importer) create(ctx context.Context, s *step) error {
	o := s.object
	if s.after == nil || m.dryRun {
		return m.live.Create(ctx, o, m.createOptions()...)
	}
	if s.after.Name > o.GetName() {
		select {
		case <-time.After(claimDelay):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if err := m.live.Create(ctx, o, m.createOptions()...); err != nil {
		return err
	}
	if s.after.Before(refTo(o)) {
		return nil
	}
	// Several API servers answer, and their clocks differ.
	uid := o.GetUID()
	err := m.live.Delete(ctx, o, client.Preconditions{UID: &uid})
	if err != nil {
		return fmt.Errorf("it takes the chat name from %q, and has to be deleted by hand before the server starts: %w", s.after.Name, err)
	}
	return fmt.Errorf("%w from %q: the clocks of the cluster's API servers differ", errTakesName, s.after.Name)
}
