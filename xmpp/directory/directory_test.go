package directory_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/auth"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
)

var epoch = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// ref is a resource made that many seconds after the epoch.
func ref(name, uid string, age int) directory.Ref {
	return directory.Ref{Name: name, UID: uid, Generation: 1, Created: epoch.Add(time.Duration(age) * time.Second)}
}

func user(r directory.Ref, username string) directory.User {
	return directory.User{Ref: r, Username: username}
}

// record writes every event down as "username: old uid > new uid", with a "!" when the credential changed.
func record(d *directory.Directory) *[]string {
	var log []string
	d.Watch(func(e directory.Event) {
		uid := func(v any) string {
			if v == nil {
				return "-"
			}
			return v.(interface{ Resource() *directory.Ref }).Resource().UID
		}
		line := fmt.Sprintf("%s: %s > %s", e.Identity, uid(e.Old), uid(e.New))
		if e.CredentialChanged {
			line += " !"
		}
		log = append(log, line)
	})
	return &log
}

func expect(t *testing.T, log *[]string, want ...string) {
	t.Helper()
	if !slices.Equal(*log, want) {
		t.Errorf("events\n got %q\nwant %q", *log, want)
	}
	*log = nil
}

func TestOldestClaimantHoldsTheName(t *testing.T) {
	d := directory.New("chat.example")
	log := record(d)

	d.PutUser(user(ref("b", "B", 2), "mira"))
	expect(t, log, "mira: - > B")
	d.PutUser(user(ref("c", "C", 3), "mira")) // younger: loses, and nobody hears of it
	expect(t, log)
	d.PutUser(user(ref("a", "A", 1), "mira")) // older: takes over
	expect(t, log, "mira: B > -", "mira: - > A")
	d.PutUser(user(ref("a2", "A2", 1), "mira")) // as old: the name decides
	expect(t, log)

	var names []string
	for _, r := range d.Claimants(directory.KindUser, "mira") {
		names = append(names, r.Name)
	}
	if want := []string{"a", "a2", "b", "c"}; !slices.Equal(names, want) {
		t.Errorf("Claimants = %q, want %q", names, want)
	}
	if got := d.Counts()[directory.KindUser]; got != 1 {
		t.Errorf("%d users in force, want 1", got)
	}

	changed := user(ref("b", "B", 2), "mira")
	changed.Generation = 2
	d.PutUser(changed) // a loser's change
	d.DeleteUser("a2", "A2")
	expect(t, log)
	if u, ok := d.UserByResource("b"); !ok || u.Generation != 2 {
		t.Errorf("UserByResource(b) = %+v, %v", u, ok)
	}
	d.DeleteUser("a", "A") // the holder goes: the oldest of the others takes over
	expect(t, log, "mira: A > -", "mira: - > B")
	if r, _ := d.Holder(directory.KindUser, "mira"); r.Name != "b" {
		t.Errorf("Holder = %q, want b", r.Name)
	}
	d.DeleteUser("c", "C")
	d.DeleteUser("b", "B")
	expect(t, log, "mira: B > -")
	if _, ok := d.User("mira"); ok {
		t.Error("mira is still there")
	}
}

func TestNewUIDIsRemovalThenCreation(t *testing.T) {
	d := directory.New("chat.example")
	log := record(d)
	present := true
	d.Watch(func(e directory.Event) {
		if _, ok := d.User("mira"); e.New == nil && ok {
			t.Error("the removed user can still be looked up in the event that removes it")
		} else if e.New != nil && !ok {
			t.Error("the created user cannot be looked up in the event that creates it")
		}
		present = e.New != nil
	})
	d.PutUser(user(ref("mira", "1", 1), "mira"))
	d.PutUser(user(ref("mira", "2", 5), "mira"))
	expect(t, log, "mira: - > 1", "mira: 1 > -", "mira: - > 2")
	d.DeleteUser("mira", "1") // told late about the earlier life
	expect(t, log)
	if !present {
		t.Error("a stale deletion removed the present user")
	}
	// With a rival waiting, the old life's end gives the name to the rival.
	d.PutUser(user(ref("other", "R", 3), "mira")) // older than life 2: takes over
	d.PutUser(user(ref("another", "S", 9), "mira"))
	expect(t, log, "mira: 2 > -", "mira: - > R")
	d.PutUser(user(ref("other", "R2", 20), "mira"))
	expect(t, log, "mira: R > -", "mira: - > 2")
	d.DeleteUser("mira", "")
	expect(t, log, "mira: 2 > -", "mira: - > S")
}

func TestChangedIdentityMovesTheClaim(t *testing.T) {
	d := directory.New("chat.example")
	log := record(d)
	d.PutUser(user(ref("r", "U", 1), "mira"))
	d.PutUser(user(ref("r", "U", 1), "tobias"))
	expect(t, log, "mira: - > U", "mira: U > -", "tobias: - > U")
}

func TestRepeatedPutIsNoEvent(t *testing.T) {
	d := directory.New("chat.example")
	log := record(d)
	make := func() directory.User {
		u := user(ref("mira", "1", 1), "mira")
		u.Contacts = []directory.Contact{{JID: jid.MustParse("tobias@chat.example"), Groups: []string{"Work"}}}
		u.Labels = map[string]string{"team": "blue"}
		return u
	}
	d.PutUser(make())
	d.PutUser(make())
	expect(t, log, "mira: - > 1")
	changed := make()
	changed.Contacts[0].Groups = []string{"Home"}
	d.PutUser(changed)
	expect(t, log, "mira: 1 > 1")
}

func secret(password string) *auth.Secret { return auth.NewPasswordSecret(password, []byte("salt")) }

func TestUserAndSecretJoinInEitherOrder(t *testing.T) {
	withSecret := func(r directory.Ref, username, name string) directory.User {
		u := user(r, username)
		u.SecretName = name
		return u
	}
	for _, first := range []string{"user", "secret"} {
		t.Run(first+" first", func(t *testing.T) {
			d := directory.New("chat.example")
			log := record(d)
			if first == "user" {
				d.PutUser(withSecret(ref("mira", "1", 1), "mira", "s"))
				if a, ok := d.Account("mira"); !ok || a.Secret != nil {
					t.Errorf("before its Secret: Account = %+v, %v; want an account that nobody can log in to", a, ok)
				}
				d.PutSecret("s", "1", secret("one"))
				expect(t, log, "mira: - > 1", "mira: 1 > 1 !")
			} else {
				d.PutSecret("s", "1", secret("one"))
				d.PutUser(withSecret(ref("mira", "1", 1), "mira", "s"))
				expect(t, log, "mira: - > 1")
			}
			a, ok := d.Account("mira")
			if !ok || !a.Secret.Same(secret("one")) {
				t.Fatalf("Account = %+v, %v", a, ok)
			}
		})
	}
	t.Run("content decides", func(t *testing.T) {
		d := directory.New("chat.example")
		d.PutSecret("s", "1", secret("one"))
		d.PutUser(withSecret(ref("mira", "1", 1), "mira", "s"))
		d.PutUser(withSecret(ref("tobias", "2", 1), "tobias", "s"))
		d.PutUser(withSecret(ref("loser", "3", 9), "mira", "s"))
		log := record(d)
		kept, _ := d.Secret("s")

		d.PutSecret("s", "2", secret("one")) // touched, same content
		expect(t, log)
		if now, _ := d.Secret("s"); now != kept {
			t.Error("a Secret of the same content replaced the one that may have been derived already")
		}
		d.PutSecret("s", "3", secret("two"))
		expect(t, log, "mira: 1 > 1 !", "tobias: 2 > 2 !")

		d.PutSecret("t", "4", secret("two"))
		d.PutUser(withSecret(ref("mira", "1", 1), "mira", "t")) // another Secret, same content
		expect(t, log, "mira: 1 > 1")
		d.PutSecret("t", "5", secret("three"))
		expect(t, log, "mira: 1 > 1 !")
		d.PutUser(withSecret(ref("mira", "1", 1), "mira", "s")) // another Secret, other content
		expect(t, log, "mira: 1 > 1 !")
		d.PutSecret("t", "6", secret("four")) // nobody names it any more
		expect(t, log)

		d.DeleteSecret("s")
		d.DeleteSecret("s")
		expect(t, log, "tobias: 2 > 2 !", "mira: 1 > 1 !")
		if a, _ := d.Account("mira"); a.Secret != nil {
			t.Error("a deleted Secret still admits")
		}
		d.DeleteUser("mira", "1") // the loser takes over, and is joined
		d.PutSecret("s", "7", secret("five"))
		expect(t, log, "mira: 1 > -", "mira: - > 3", "tobias: 2 > 2 !", "mira: 3 > 3 !")
	})
}

func TestLockedAccount(t *testing.T) {
	d := directory.New("chat.example")
	u := user(ref("mira", "1", 1), "mira")
	u.Locked = true
	d.PutUser(u)
	if a, ok := d.Account("mira"); !ok || !a.Locked {
		t.Errorf("Account = %+v, %v; want a locked one", a, ok)
	}
	if _, ok := d.Account("tobias"); ok {
		t.Error("an account that nobody declared")
	}
}

func TestGroupsAndRooms(t *testing.T) {
	d := directory.New("chat.example")
	log := record(d)
	d.PutGroup(directory.Group{Ref: ref("g", "G", 1), GroupName: "Night Shift"})
	d.PutRoom(directory.Room{Ref: ref("r", "R", 1), RoomName: "lobby", Service: "conference"})
	d.PutRoom(directory.Room{Ref: ref("r2", "R2", 2), RoomName: "lobby", Service: "workshop"})
	expect(t, log, "Night Shift: - > G", "lobby@conference: - > R", "lobby@workshop: - > R2")
	if _, ok := d.Group("night shift"); ok {
		t.Error("group names are exact")
	}
	if r, ok := d.Room("lobby@conference"); !ok || r.Name != "r" {
		t.Errorf("Room = %+v, %v", r, ok)
	}
	d.DeleteGroup("g", "G")
	d.DeleteRoom("r", "R")
	expect(t, log, "Night Shift: G > -", "lobby@conference: R > -")
}

func TestListsAreSortedAndFollowChanges(t *testing.T) {
	d := directory.New("chat.example")
	for i, name := range []string{"tobias", "anna", "mira"} {
		d.PutUser(user(ref(name, name, i), name))
	}
	names := func() (out []string) {
		for _, u := range d.Users() {
			out = append(out, u.Username)
		}
		return out
	}
	if got := names(); !slices.Equal(got, []string{"anna", "mira", "tobias"}) {
		t.Errorf("Users = %q", got)
	}
	d.DeleteUser("mira", "")
	if got := names(); !slices.Equal(got, []string{"anna", "tobias"}) {
		t.Errorf("after a deletion Users = %q", got)
	}
}

func TestWatcherOrderAndCancel(t *testing.T) {
	d := directory.New("chat.example")
	var got []string
	var cancel func()
	d.Watch(func(directory.Event) { got = append(got, "first") })
	cancel = d.Watch(func(directory.Event) { got = append(got, "second"); cancel() })
	d.PutUser(user(ref("mira", "1", 1), "mira"))
	d.DeleteUser("mira", "1")
	if want := []string{"first", "second", "first"}; !slices.Equal(got, want) {
		t.Errorf("calls %q, want %q", got, want)
	}
}

func TestSyncedIsClosedOnce(t *testing.T) {
	d := directory.New("chat.example")
	select {
	case <-d.Synced():
		t.Fatal("synced too early")
	default:
	}
	d.MarkSynced()
	d.MarkSynced()
	<-d.Synced()
}

// What watchers hear must add up to what readers see, whatever the writes were: held
// against a model that decides from scratch who holds each name.
func TestRandomWritesAgainstModel(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 7))
	d := directory.New("chat.example")
	heard := map[string]*directory.User{}
	d.Watch(func(e directory.Event) {
		old, next := e.Users()
		if heard[e.Identity] != old {
			t.Fatalf("event of %q starts at %v, the last one ended at %v", e.Identity, old, heard[e.Identity])
		}
		if old != nil && next != nil && old.UID != next.UID {
			t.Fatalf("the UID of %q changed in one event", e.Identity)
		}
		heard[e.Identity] = next
	})
	model := map[string]directory.User{} // by resource name
	for i := range 20_000 {
		name := fmt.Sprintf("r%d", rnd.IntN(6))
		if rnd.IntN(4) == 0 {
			uid := model[name].UID
			if rnd.IntN(5) == 0 {
				uid = "stale"
			} else {
				delete(model, name)
			}
			d.DeleteUser(name, uid)
		} else {
			u, known := model[name]
			if !known || rnd.IntN(5) == 0 {
				u = user(ref(name, fmt.Sprint(i), rnd.IntN(4)), fmt.Sprintf("u%d", rnd.IntN(3)))
			}
			u.Generation++
			model[name] = u
			d.PutUser(u)
		}
		want := map[string]string{}
		for _, username := range []string{"u0", "u1", "u2"} {
			var best *directory.User
			for _, u := range model {
				if u.Username == username && (best == nil || u.Created.Before(best.Created) || u.Created.Equal(best.Created) && u.Name < best.Name) {
					best = &u
				}
			}
			got, ok := d.User(username)
			if (best != nil) != ok || ok && (got.UID != best.UID || got.Generation != best.Generation) {
				t.Fatalf("step %d: %q is held by %+v, want %+v", i, username, got, best)
			}
			if ok {
				want[username] = best.UID
			}
			if heard[username] != got {
				t.Fatalf("step %d: watchers believe in %+v, readers see %+v", i, heard[username], got)
			}
		}
		if len(d.Users()) != len(want) {
			t.Fatalf("step %d: %d users listed, want %d", i, len(d.Users()), len(want))
		}
	}
}

func TestReadersBesideAWriter(t *testing.T) {
	d := directory.New("chat.example")
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if a, ok := d.Account("mira"); ok && a.Username != "mira" {
					t.Errorf("Account(mira) is of %q", a.Username)
				}
				if list := d.Users(); !slices.IsSortedFunc(list, func(a, b *directory.User) int { return strings.Compare(a.Username, b.Username) }) {
					t.Error("Users isn't sorted")
				}
				d.Bool(directory.KeyAnonymous)
			}
		})
	}
	for i := range 2_000 {
		u := user(ref("mira", fmt.Sprint(i/3), i), "mira")
		u.SecretName, u.Generation = "s", int64(i)
		d.PutUser(u)
		d.PutUser(user(ref(fmt.Sprint("n", i), fmt.Sprint(i), i), fmt.Sprint("n", i)))
		d.PutSecret("s", fmt.Sprint(i), secret(fmt.Sprint(i%2)))
	}
	close(stop)
	readers.Wait()
	// The list must not have stayed at an earlier state.
	if n := len(d.Users()); n != 2_001 {
		t.Errorf("%d users, want 2001", n)
	}
}

func TestSelector(t *testing.T) {
	labels := map[string]string{"team": "blue", "tier": ""}
	in := func(key string, op directory.SelectorOperator, values ...string) *directory.Selector {
		return &directory.Selector{MatchExpressions: []directory.Requirement{{Key: key, Operator: op, Values: values}}}
	}
	for name, c := range map[string]struct {
		s    *directory.Selector
		want bool
	}{
		"nil":                   {nil, false},
		"empty":                 {&directory.Selector{}, true},
		"label":                 {&directory.Selector{MatchLabels: map[string]string{"team": "blue"}}, true},
		"other value":           {&directory.Selector{MatchLabels: map[string]string{"team": "red"}}, false},
		"empty is not absent":   {&directory.Selector{MatchLabels: map[string]string{"nope": ""}}, false},
		"in":                    {in("team", directory.SelectorIn, "red", "blue"), true},
		"in, absent":            {in("nope", directory.SelectorIn, ""), false},
		"not in":                {in("team", directory.SelectorNotIn, "blue"), false},
		"not in, absent":        {in("nope", directory.SelectorNotIn, "blue"), true},
		"exists":                {in("tier", directory.SelectorExists), true},
		"does not exist":        {in("tier", directory.SelectorDoesNotExist), false},
		"does not exist, right": {in("nope", directory.SelectorDoesNotExist), true},
		"unknown operator":      {in("team", "Near", "blue"), false},
	} {
		if got := c.s.Matches(labels); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestEntryLookups(t *testing.T) {
	u := directory.User{Properties: []directory.Property{{Key: "a", Value: "1"}, {Key: "c", Value: "3"}}}
	if v, ok := u.Property("c"); !ok || v != "3" {
		t.Errorf("Property(c) = %q, %v", v, ok)
	}
	if _, ok := u.Property("b"); ok {
		t.Error("Property(b) found")
	}
	for s, want := range map[string]directory.Subscription{"None": directory.SubscriptionNone, "to": directory.SubscriptionTo, "From": directory.SubscriptionFrom, "both": directory.SubscriptionBoth} {
		got, ok := directory.ParseSubscription(s)
		if !ok || got != want || !strings.EqualFold(got.String(), s) {
			t.Errorf("ParseSubscription(%q) = %v, %v", s, got, ok)
		}
	}
	if _, ok := directory.ParseSubscription("remove"); ok {
		t.Error("remove is no state of a subscription")
	}
}

func TestErrorsAreSentences(t *testing.T) {
	cause := errors.New("connection refused")
	for _, c := range []struct {
		err  error
		want string
	}{
		{&directory.ManagedError{Field: "spec.locked", Manager: "argocd"}, `spec.locked is declared by "argocd": change it there`},
		{&directory.ManagedError{Field: "spec.locked", Policy: true}, "spec.locked may not be changed from here: the resource's inBandPolicy is Deny"},
		{&directory.UnavailableError{Err: cause}, "declarations cannot be changed at the moment: connection refused"},
		{&directory.LimitError{Field: "roster", Limit: 1000}, "roster takes at most 1000 entries"},
	} {
		if c.err.Error() != c.want {
			t.Errorf("got %q, want %q", c.err, c.want)
		}
	}
	if !errors.Is(&directory.UnavailableError{Err: cause}, cause) {
		t.Error("the cause is lost")
	}
}
