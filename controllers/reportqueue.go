package controllers

import (
	"context"
	"sync"
	"time"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// What is reported on though nobody changed it is enqueued at a pace of batch by pause, 5,000 resources a second, which leaves the processors to clients:
// all of them come back after a start.
const (
	batch = 25
	pause = 5 * time.Millisecond
)

// reportQueue is a controller's queue, which is there only once the controller has begun. What comes before waits, and so does what has time.
type reportQueue struct {
	namespace string

	mu    sync.Mutex
	queue workqueue.TypedRateLimitingInterface[reconcile.Request]
	later map[reconcile.Request]struct{}
	some  chan struct{} // there may be something in later
}

func newReportQueue(namespace string) *reportQueue {
	return &reportQueue{namespace: namespace, later: map[reconcile.Request]struct{}{}, some: make(chan struct{}, 1)}
}

// run hands over what waits, once synced is closed, until ctx ends.
func (q *reportQueue) run(ctx context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request], synced <-chan struct{}) {
	select {
	case <-synced:
	case <-ctx.Done():
		return
	}
	q.mu.Lock()
	q.queue = queue
	q.mu.Unlock()
	rest := time.NewTimer(0)
	defer rest.Stop()
	for {
		select {
		case <-rest.C:
		case <-ctx.Done():
			return
		}
		if !q.handOver(batch) {
			select {
			case <-q.some:
			case <-ctx.Done():
				return
			}
		}
		rest.Reset(pause)
	}
}

// handOver enqueues up to so many resources of those that wait, and says whether there may be more.
func (q *reportQueue) handOver(most int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for request := range q.later {
		if most == 0 {
			return true
		}
		most--
		delete(q.later, request)
		push(q.queue, request, true)
	}
	return false
}

// add enqueues a resource for its report. Low is for what was there already: it waits for its turn, and a change that somebody waits for overtakes it.
func (q *reportQueue) add(name string, low bool) {
	request := reconcile.Request{NamespacedName: client.ObjectKey{Namespace: q.namespace, Name: name}}
	q.mu.Lock()
	defer q.mu.Unlock()
	if !low && q.queue != nil {
		delete(q.later, request)
		push(q.queue, request, false)
		return
	}
	q.later[request] = struct{}{}
	select {
	case q.some <- struct{}{}:
	default:
	}
}

func push(queue workqueue.TypedRateLimitingInterface[reconcile.Request], request reconcile.Request, low bool) {
	if prioritized, ok := queue.(priorityqueue.PriorityQueue[reconcile.Request]); ok && low {
		prioritized.AddWithOpts(priorityqueue.AddOpts{Priority: new(handler.LowPriority)}, request)
		return
	}
	queue.Add(request)
}
