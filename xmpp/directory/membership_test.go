package directory_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
)

func addresses(names ...string) []jid.JID {
	var list []jid.JID
	for _, n := range names {
		if !slices.Contains([]byte(n), '@') {
			n += "@chat.example"
		}
		list = append(list, jid.MustParse(n))
	}
	slices.SortFunc(list, jid.JID.Compare)
	return list
}

func group(name string, members, admins []jid.JID, s *directory.Selector) directory.Group {
	return directory.Group{Ref: ref(name, "uid-"+name, 1), GroupName: name, Members: members, Admins: admins, Selector: s}
}

func labelled(name string, labels map[string]string) directory.User {
	u := user(ref(name, "uid-"+name, 1), name)
	u.Labels = labels
	return u
}

func teamSelector(team string) *directory.Selector {
	return &directory.Selector{MatchLabels: map[string]string{"team": team}}
}

func TestMembers(t *testing.T) {
	d := directory.New("chat.example")
	d.PutUser(labelled("mira", map[string]string{"team": "ops"}))
	d.PutUser(labelled("kai", map[string]string{"team": "ops"}))
	d.PutUser(labelled("jo", nil))
	d.PutGroup(group("Night Shift", addresses("mira", "tobias@other.example"), addresses("ghost"), teamSelector("ops")))
	d.PutGroup(group("Дж", addresses("mira"), nil, nil))

	// Members, admins and whom the selector picks, each once, sorted by domain, then local part.
	if got, want := d.Members("Night Shift"), addresses("ghost", "kai", "mira", "tobias@other.example"); !slices.Equal(got, want) {
		t.Errorf("Members = %v, want %v", got, want)
	}
	if got, want := d.Admins("Night Shift"), addresses("ghost"); !slices.Equal(got, want) {
		t.Errorf("Admins = %v, want %v", got, want)
	}
	for name, want := range map[string]bool{"ghost": true, "kai": true, "mira": true, "tobias@other.example": true, "jo": false, "kai@other.example": false} {
		if got := d.IsMember("Night Shift", addresses(name)[0]); got != want {
			t.Errorf("IsMember(%s) = %v", name, got)
		}
	}
	for name, want := range map[string][]string{"mira": {"Night Shift", "Дж"}, "kai": {"Night Shift"}, "jo": nil, "tobias@other.example": {"Night Shift"}} {
		if got := d.GroupsOf(addresses(name)[0]); !slices.Equal(got, want) {
			t.Errorf("GroupsOf(%s) = %q, want %q", name, got, want)
		}
	}
	if d.Members("no such group") != nil || d.Admins("no such group") != nil || d.IsMember("no such group", addresses("mira")[0]) {
		t.Error("a group that is not there has members")
	}
	d.DeleteGroup("Night Shift", "")
	if got := d.GroupsOf(addresses("mira")[0]); !slices.Equal(got, []string{"Дж"}) {
		t.Errorf("after the deletion: %q", got)
	}
}

func TestMembershipEvents(t *testing.T) {
	d := directory.New("chat.example")
	var log []string
	d.Watch(func(e directory.Event) {
		if e.Kind != directory.KindGroup {
			return
		}
		what := "changed"
		switch old, next := e.Groups(); {
		case old == nil:
			what = "new"
		case next == nil:
			what = "gone"
		case old == next:
			what = "same"
		}
		log = append(log, fmt.Sprintf("%s %s +%v -%v", e.Identity, what, e.Joined, e.Left))
		for _, j := range e.Joined {
			if !d.IsMember(e.Identity, j) || !slices.Contains(d.Members(e.Identity), j) || !slices.Contains(d.GroupsOf(j), e.Identity) {
				t.Errorf("%s joined %s, and a reader does not see it", j, e.Identity)
			}
		}
		for _, j := range e.Left {
			if d.IsMember(e.Identity, j) || slices.Contains(d.Members(e.Identity), j) || slices.Contains(d.GroupsOf(j), e.Identity) {
				t.Errorf("%s left %s, and a reader does not see it", j, e.Identity)
			}
		}
	})
	step := func(do func(), want ...string) {
		t.Helper()
		log = nil
		do()
		if !slices.Equal(log, want) {
			t.Errorf("got  %q\nwant %q", log, want)
		}
	}
	ops := group("ops", addresses("mira"), nil, teamSelector("ops"))
	step(func() { d.PutUser(labelled("kai", map[string]string{"team": "ops"})) })
	step(func() { d.PutGroup(ops) }, "ops new +[kai@chat.example mira@chat.example] -[]")
	step(func() { d.PutGroup(ops) })
	step(func() { d.PutUser(labelled("mira", map[string]string{"team": "ops"})) }) // she is named anyway
	step(func() { d.PutUser(labelled("jo", nil)) })
	step(func() { d.PutUser(labelled("jo", map[string]string{"team": "ops"})) }, "ops same +[jo@chat.example] -[]")
	step(func() { d.PutUser(labelled("jo", map[string]string{"team": "ops", "floor": "2"})) })
	step(func() { d.DeleteUser("kai", "") }, "ops same +[] -[kai@chat.example]")
	ops.Members, ops.Admins = addresses("jo"), addresses("ines")
	step(func() { d.PutGroup(ops) }, "ops changed +[ines@chat.example] -[]") // jo and mira are picked anyway
	ops.Selector = teamSelector("sales")
	step(func() { d.PutGroup(ops) }, "ops changed +[] -[mira@chat.example]")
	ops.Description = "People on call"
	step(func() { d.PutGroup(ops) }, "ops changed +[] -[]")
	ops.Selector = nil
	step(func() { d.PutGroup(ops) }, "ops changed +[] -[]")
	step(func() { d.PutUser(labelled("jo", map[string]string{"team": "sales"})) })
	step(func() { d.DeleteGroup("ops", "") }, "ops gone +[] -[ines@chat.example jo@chat.example]")
}

// TestMembershipModel compares every answer with one worked out from scratch, after each of many random changes.
func TestMembershipModel(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	d := directory.New("chat.example")
	names := []string{"a", "b", "c", "d", "e", "f", "r@other.example"}
	groups := []string{"g 1", "g 2", "g 3"}
	believed := map[string]map[jid.JID]bool{"g 1": {}, "g 2": {}, "g 3": {}} // from the events alone
	d.Watch(func(e directory.Event) {
		if e.Kind != directory.KindGroup {
			return
		}
		for _, j := range e.Joined {
			if believed[e.Identity][j] {
				t.Errorf("%s joined %s twice", j, e.Identity)
			}
			believed[e.Identity][j] = true
		}
		for _, j := range e.Left {
			if !believed[e.Identity][j] {
				t.Errorf("%s left %s without having been there", j, e.Identity)
			}
			delete(believed[e.Identity], j)
		}
	})
	pick := func() []jid.JID {
		var some []string
		for _, n := range names {
			if rng.IntN(3) == 0 {
				some = append(some, n)
			}
		}
		return addresses(some...)
	}
	for round := range 5000 {
		switch rng.IntN(6) {
		case 0, 1:
			u := labelled(names[rng.IntN(6)], map[string]string{"team": fmt.Sprint(rng.IntN(3))})
			u.UID = fmt.Sprint("life-", rng.IntN(2))
			d.PutUser(u)
		case 2:
			d.DeleteUser(names[rng.IntN(6)], "")
		case 3, 4:
			var s *directory.Selector
			switch rng.IntN(4) {
			case 0:
				s = teamSelector(fmt.Sprint(rng.IntN(3)))
			case 1:
				s = &directory.Selector{} // everybody
			}
			g := group(groups[rng.IntN(3)], pick(), pick(), s)
			g.Description = fmt.Sprint(rng.IntN(2))
			d.PutGroup(g)
		case 5:
			d.DeleteGroup(groups[rng.IntN(3)], "")
		}
		for _, name := range groups {
			var want []jid.JID
			if g, ok := d.Group(name); ok {
				for _, n := range names {
					j := addresses(n)[0]
					u, exists := d.User(j.Local())
					exists = exists && j.Domain() == "chat.example"
					if slices.Contains(g.Members, j) || slices.Contains(g.Admins, j) || exists && g.Selector.Matches(u.Labels) {
						want = append(want, j)
					}
				}
			}
			for _, n := range names {
				j := addresses(n)[0]
				if is := slices.Contains(want, j); d.IsMember(name, j) != is || slices.Contains(d.GroupsOf(j), name) != is || believed[name][j] != is {
					t.Fatalf("round %d: %s in %s is %v, IsMember %v, GroupsOf %q, events say %v", round, j, name, is, d.IsMember(name, j), d.GroupsOf(j), believed[name][j])
				}
			}
			// Not at every change, so that several wait for the next reader.
			if rng.IntN(3) == 0 {
				if got := d.Members(name); !slices.Equal(got, want) {
					t.Fatalf("round %d: Members(%s) = %v, want %v", round, name, got, want)
				}
			}
		}
	}
}

func TestMembershipWhileItChanges(t *testing.T) {
	d := directory.New("chat.example")
	d.PutGroup(group("all", nil, nil, &directory.Selector{}))
	d.PutGroup(group("ops", addresses("u0", "u1"), nil, teamSelector("ops")))
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				for _, g := range []string{"all", "ops"} {
					if list := d.Members(g); !slices.IsSortedFunc(list, jid.JID.Compare) {
						t.Error("the list is not sorted")
						return
					}
				}
				d.GroupsOf(addresses("u1")[0])
				d.IsMember("ops", addresses("u2")[0])
			}
		})
	}
	for i := range 2000 {
		name := fmt.Sprintf("u%d", i%50)
		switch i % 3 {
		case 0:
			d.PutUser(labelled(name, map[string]string{"team": "ops"}))
		case 1:
			d.PutUser(labelled(name, nil))
		case 2:
			d.DeleteUser(name, "")
		}
		if i%100 == 0 {
			g := group("ops", addresses(fmt.Sprintf("u%d", i%7), "u1"), nil, teamSelector("ops"))
			d.PutGroup(g)
		}
	}
	close(stop)
	readers.Wait()
	if got, want := len(d.Members("all")), d.Counts()[directory.KindUser]; got != want {
		t.Errorf("%d members, and there are %d users", got, want)
	}
}

// A group of everybody costs a change of one user no more than a comparison of labels.
func TestSelectorOfEverybodyStaysCheap(t *testing.T) {
	d := directory.New("chat.example")
	fill(d, 20_000)
	put := func(i int) { d.PutUser(labelled(fmt.Sprintf("extra-%d", i), map[string]string{"team": "ops"})) }
	d.PutGroup(group("all", nil, nil, &directory.Selector{}))
	d.Members("all") // from now on there is a list to keep
	const changes = 500
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i := range changes {
		put(i)
		d.DeleteUser(fmt.Sprintf("extra-%d", i), "")
	}
	runtime.ReadMemStats(&after)
	bytes := (after.TotalAlloc - before.TotalAlloc) / changes
	if bytes > 16<<10 { // a copy of the list would be 480 KB
		t.Errorf("a user's coming and going costs %d bytes", bytes)
	}
}

func BenchmarkMembership(b *testing.B) {
	d := directory.New("chat.example")
	fill(d, 100_000)
	before := heap()
	d.PutGroup(group("all", nil, nil, &directory.Selector{}))
	for i := range 5 {
		d.PutGroup(group(fmt.Sprint("team ", i), nil, nil, teamSelector(fmt.Sprint("t", i))))
	}
	d.PutGroup(group("named", addresses("user-000001", "user-000002"), nil, nil))
	b.Logf("six groups with selectors: %d KB", (heap()-before)>>10)
	one := addresses("user-050000")[0]
	b.Run("IsMember", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			d.IsMember("all", one)
		}
	})
	b.Run("GroupsOf", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			d.GroupsOf(one)
		}
	})
	b.Run("UserChange", func(b *testing.B) {
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			i++
			d.PutUser(labelled("user-050000", map[string]string{"team": fmt.Sprint("t", i%5)}))
		}
	})
	b.Run("MembersAfterChange", func(b *testing.B) {
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			i++
			d.PutUser(labelled("extra", map[string]string{"team": "t1"}))
			d.Members("all")
			d.DeleteUser("extra", "")
		}
	})
	b.Run("SelectorChange", func(b *testing.B) {
		i := 0
		for b.Loop() {
			i++
			d.PutGroup(group("picky", nil, nil, teamSelector(fmt.Sprint("t", i%5))))
		}
	})
}
