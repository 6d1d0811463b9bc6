package directory_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/chat-operator/chat-operator/xmpp/directory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// waiting starts a wait and returns once it blocks, or fails; synctest tells when.
func waiting(wait func(context.Context) error) (result chan error, cancel context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	result = make(chan error, 1)
	go func() { result <- wait(ctx) }()
	synctest.Wait()
	return result, cancel
}

func still(t *testing.T, result chan error, why string) {
	t.Helper()
	synctest.Wait()
	select {
	case err := <-result:
		t.Fatalf("%s: the wait ended with %v", why, err)
	default:
	}
}

func TestWaitUserNeedsUIDGenerationAndSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := directory.New("chat.example")
		result, cancel := waiting(func(ctx context.Context) error { return d.WaitUser(ctx, "mira", "U", 2, "s") })
		defer cancel()
		u := user(ref("mira", "U0", 1), "mira")
		u.SecretName = "s"
		d.PutUser(u)
		still(t, result, "another uid")
		u.UID = "U"
		d.PutUser(u)
		still(t, result, "an earlier generation")
		u.Generation = 2
		d.PutUser(u)
		still(t, result, "no Secret yet")
		d.PutSecret("s", "1", secret("one"))
		if err := <-result; err != nil {
			t.Fatal(err)
		}
		// What is so already doesn't wait, even when the context is over.
		cancelled, stop := context.WithCancel(context.Background())
		stop()
		if err := d.WaitUser(cancelled, "mira", "U", 1, "s"); err != nil {
			t.Error(err)
		}
	})
}

func TestWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := directory.New("chat.example")
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		err := d.WaitUser(ctx, "mira", "U", 1, "")
		if !errors.Is(err, directory.ErrNotYetActive) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("err = %v", err)
		}
		d.PutUser(user(ref("mira", "U", 1), "mira")) // nobody is left to be woken
	})
}

func TestWaitForALoserFailsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := directory.New("chat.example")
		d.PutUser(user(ref("first", "F", 1), "mira"))
		result, cancel := waiting(func(ctx context.Context) error { return d.WaitUser(ctx, "mira", "L", 1, "") })
		defer cancel()
		d.PutUser(user(ref("late", "L", 2), "mira"))
		if err := <-result; !errors.Is(err, directory.ErrExists) {
			t.Errorf("err = %v, want ErrExists", err)
		}
	})
}

func TestWaitNoticesWhatLastedAMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := directory.New("chat.example")
		result, cancel := waiting(func(ctx context.Context) error {
			return d.WaitActive(ctx, directory.KindUser, "mira", "U", 1)
		})
		defer cancel()
		d.PutUser(user(ref("mira", "U", 1), "mira"))
		d.DeleteUser("mira", "U")
		if err := <-result; err != nil {
			t.Error(err)
		}
	})
}

func TestWaitEndsAfterTheWatchers(t *testing.T) {
	d := directory.New("chat.example")
	entered, release := make(chan struct{}), make(chan struct{})
	acted := false
	d.Watch(func(directory.Event) {
		close(entered)
		<-release
		acted = true
	})
	go d.PutUser(user(ref("mira", "U", 1), "mira"))
	<-entered
	if _, ok := d.User("mira"); !ok {
		t.Error("a watcher at work blocks readers")
	}
	result := make(chan error)
	go func() {
		err := d.WaitUser(context.Background(), "mira", "U", 1, "")
		if !acted {
			t.Error("the wait ended before the watcher was done")
		}
		result <- err
	}()
	close(release)
	if err := <-result; err != nil {
		t.Error(err)
	}
}

func TestWaitGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := directory.New("chat.example")
		d.PutUser(user(ref("a", "A", 1), "mira"))
		d.PutUser(user(ref("b", "B", 2), "mira"))
		one, cancel1 := waiting(func(ctx context.Context) error { return d.WaitGone(ctx, directory.KindUser, "mira", "A") })
		defer cancel1()
		all, cancel2 := waiting(func(ctx context.Context) error { return d.WaitGone(ctx, directory.KindUser, "mira", "") })
		defer cancel2()
		d.DeleteUser("a", "A")
		if err := <-one; err != nil {
			t.Error(err)
		}
		still(t, all, "B holds the name")
		d.DeleteUser("b", "B")
		if err := <-all; err != nil {
			t.Error(err)
		}
	})
}

func TestWaitSecretAndProperty(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := directory.New("chat.example")
		d.PutSecret("s", "99", secret("one"))
		result, cancel := waiting(func(ctx context.Context) error { return d.WaitSecret(ctx, "s", "100") })
		defer cancel()
		still(t, result, "an earlier version")
		d.PutSecret("s", "101", secret("one")) // same content, later version: still an answer
		if err := <-result; err != nil {
			t.Error(err)
		}
		result, cancel = waiting(func(ctx context.Context) error { return d.WaitProperty(ctx, "k", "U", 1) })
		defer cancel()
		if err := d.PutProperty(property("U", "k", "v")); err != nil {
			t.Fatal(err)
		}
		if err := <-result; err != nil {
			t.Error(err)
		}
	})
}

// Waits that start while the thing they wait for is being written must never miss it.
func TestNoLostWakeUps(t *testing.T) {
	d := directory.New("chat.example")
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var all sync.WaitGroup
	for i := range 500 {
		name := fmt.Sprint("u", i)
		for range 3 {
			all.Go(func() {
				if err := d.WaitUser(ctx, name, name, 1, name); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			})
		}
		all.Go(func() {
			u := user(ref(name, name, 1), name)
			u.SecretName = name
			d.PutUser(u)
		})
		all.Go(func() { d.PutSecret(name, "1", secret(name)) })
	}
	all.Wait()
}
