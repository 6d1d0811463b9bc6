package controllers

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
)

// TestLag: what counts is from when a change was seen to when the status spoke of it.
func TestLag(t *testing.T) {
	clock := clocktesting.NewFakeClock(time.Unix(1000, 0))
	l := newLag(clock)
	user := func(name, uid string, generation int64) *v1alpha1.ChatUser {
		return &v1alpha1.ChatUser{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(uid), Generation: generation}}
	}
	expect := func(what string, pending int, oldest time.Duration, count uint64, sum time.Duration) {
		t.Helper()
		n, took, _ := l.took.Read()
		if l.pending() != pending || l.oldest() != oldest || n != count || took != sum {
			t.Errorf("%s: %d wait, the oldest for %v; %d took %v", what, l.pending(), l.oldest(), n, took)
		}
	}
	l.seen(user("settled", "0", 7), 7)
	expect("what the last process has reported on is no change", 0, 0, 0, 0)
	l.seen(user("new", "1", 1), -1)
	clock.Step(time.Second)
	l.seen(user("new", "1", 2), -1)
	clock.Step(time.Second)
	expect("a second change does not begin to wait anew", 1, 2*time.Second, 0, 0)
	l.seen(user("new", "1", 2), 1)
	expect("nor does a report on the first", 1, 2*time.Second, 0, 0)
	l.seen(user("new", "1", 2), 2)
	expect("reported", 0, 0, 1, 2*time.Second)
	l.seen(user("new", "1", 2), 2)
	expect("reported once", 0, 0, 1, 2*time.Second)

	l.seen(user("made again", "2", 1), -1)
	clock.Step(time.Minute)
	l.seen(user("made again", "3", 1), -1)
	expect("another resource of the name", 1, 0, 1, 2*time.Second)
	l.gone("made again")
	expect("deleted", 0, 0, 1, 2*time.Second)

	l.seen(user("held by a finalizer", "4", 1), -1)
	going := user("held by a finalizer", "4", 2)
	going.DeletionTimestamp = &metav1.Time{Time: clock.Now()}
	l.seen(going, 1)
	expect("being deleted", 0, 0, 1, 2*time.Second)
	var none *lag
	none.seen(user("x", "5", 1), -1)
	none.gone("x")
}
