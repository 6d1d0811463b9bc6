package controllers

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// enqueued is a controller's queue that remembers what was put into it, in order, with its priority.
type enqueued struct {
	priorityqueue.PriorityQueue[reconcile.Request]
	mu    sync.Mutex
	names []string
}

func (q *enqueued) Add(r reconcile.Request) {
	q.AddWithOpts(priorityqueue.AddOpts{Priority: new(0)}, r)
}

func (q *enqueued) AddWithOpts(o priorityqueue.AddOpts, items ...reconcile.Request) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, r := range items {
		q.names = append(q.names, fmt.Sprintf("%s/%s %d", r.Namespace, r.Name, *o.Priority))
	}
}

func (q *enqueued) list() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.names
}

func TestReportsWaitForTheStartAndLeaveRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		q, to, synced := newReportQueue("chat"), &enqueued{}, make(chan struct{})
		var running sync.WaitGroup
		running.Go(func() { q.run(ctx, workqueue.TypedRateLimitingInterface[reconcile.Request](to), synced) })
		for i := range 60 {
			q.add(fmt.Sprint("u", i), true)
		}
		q.add("changed-early", false)
		expect := func(when string, n int) {
			t.Helper()
			synctest.Wait()
			if got := len(to.list()); got != n {
				t.Fatalf("%s: %d are enqueued, want %d", when, got, n)
			}
		}
		time.Sleep(time.Minute)
		expect("before everything declared is known", 0)
		close(synced)
		expect("at once", batch)
		q.add("changed", false)
		expect("a change", batch+1)
		if got, want := to.list()[batch], "chat/changed 0"; got != want {
			t.Errorf("the change is %q, want %q", got, want)
		}
		time.Sleep(pause)
		expect("after a pause", 2*batch+1)
		time.Sleep(pause)
		expect("after two", 62)
		low := 0
		for _, name := range to.list() {
			if name != "chat/changed 0" {
				low++
				if want := fmt.Sprintf(" %d", handler.LowPriority); name[len(name)-len(want):] != want {
					t.Errorf("%q has another priority than %d", name, handler.LowPriority)
				}
			}
		}
		if low != 61 {
			t.Errorf("%d resources that waited are enqueued, want 61", low)
		}
		// Of a leader that is new, for instance.
		time.Sleep(time.Minute)
		q.add("u1", true)
		time.Sleep(pause)
		expect("later", 63)
		// Nothing waits that was changed meanwhile.
		q.add("u2", true)
		q.add("u2", false)
		time.Sleep(time.Minute)
		expect("changed while it waits", 64)
		stop()
		running.Wait()
	})
}
