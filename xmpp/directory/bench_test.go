package directory_test

import (
	"bytes"
	"fmt"
	"runtime"
	"testing"

	"github.com/chat-operator/chat-operator/xmpp/auth"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
)

// fill declares n users of an ordinary size, as REST makes them: verifiers, two
// properties, three contacts, two labels.
func fill(d *directory.Directory, n int) {
	for i := range n {
		name := fmt.Sprintf("user-%06d", i)
		verifier := func(size int, b byte) auth.Verifier {
			return auth.Verifier{
				Iterations: auth.DefaultIterations, Salt: bytes.Repeat([]byte{b}, 16),
				StoredKey: bytes.Repeat([]byte{byte(i)}, size), ServerKey: bytes.Repeat([]byte{b}, size),
			}
		}
		d.PutSecret(name+"-abcde", "1", auth.NewVerifierSecret(auth.Credential{SHA256: verifier(32, 1), SHA1: verifier(20, 2)}))
		u := user(ref(name, fmt.Sprintf("6f1b1b5e-0000-4000-8000-%012d", i), i), name)
		u.SecretName = name + "-abcde"
		u.DisplayName = fmt.Sprintf("The %d. User", i)
		u.Email = name + "@example.com"
		u.Properties = []directory.Property{{Key: "department", Value: fmt.Sprint("d", i%50)}, {Key: "phone", Value: fmt.Sprintf("+49 30 %06d", i)}}
		u.Labels = map[string]string{"app.kubernetes.io/managed-by": "chat-operator", "team": fmt.Sprint("t", i%100)}
		for c := range 3 {
			u.Contacts = append(u.Contacts, directory.Contact{
				JID: jid.MustParse(fmt.Sprintf("user-%06d@chat.example", i+c+1)), Name: "A colleague", Subscription: directory.SubscriptionBoth, Groups: []string{"Work"},
			})
		}
		u.CreatedAt, u.ModifiedAt = u.Created, u.Created
		d.PutUser(u)
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// bytesPerUser is the budget of a user with Secret and entry (the watch's own
// cache not counted, which is the controllers' half of the 4 KiB).
const bytesPerUser = 2048

func perUser(n int) float64 {
	before := heap()
	d := directory.New("chat.example")
	fill(d, n)
	d.Users()
	after := heap()
	runtime.KeepAlive(d)
	return float64(after-before) / float64(n)
}

func TestMemoryPerUser(t *testing.T) {
	if got := perUser(10_000); got > bytesPerUser {
		t.Errorf("%.0f bytes a user, more than %d", got, bytesPerUser)
	}
}

func BenchmarkMemoryPerUser(b *testing.B) {
	for b.Loop() {
		b.ReportMetric(perUser(100_000), "bytes/user")
	}
}

func BenchmarkLookup(b *testing.B) {
	d := directory.New("chat.example")
	fill(d, 100_000)
	names := make([]string, 1024)
	for i := range names {
		names[i] = fmt.Sprintf("user-%06d", i*97)
	}
	b.Run("User", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for i := 0; pb.Next(); i++ {
				d.User(names[i%len(names)])
			}
		})
	})
	b.Run("Account", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for i := 0; pb.Next(); i++ {
				d.Account(names[i%len(names)])
			}
		})
	})
	b.Run("Bool", func(b *testing.B) {
		for b.Loop() {
			d.Bool(directory.KeyAnonymous)
		}
	})
	b.Run("Put", func(b *testing.B) {
		b.ReportAllocs()
		u, _ := d.User(names[0])
		next := *u
		for b.Loop() {
			next.Generation++
			d.PutUser(next)
		}
	})
}

func TestLookupsDoNotAllocate(t *testing.T) {
	d := directory.New("chat.example")
	fill(d, 10)
	if n := testing.AllocsPerRun(100, func() { d.Account("user-000003"); d.Bool(directory.KeyAnonymous) }); n != 0 {
		t.Errorf("a login's lookup allocates %v times", n)
	}
}
