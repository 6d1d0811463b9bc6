package controllers

import (
	"context"
	"math/rand/v2"
	"reflect"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"github.com/chat-operator/chat-operator/controllers/provision"
)

// retryWatch is the pause between attempts to reach an API server that is away.
const retryWatch = time.Second

// patientInformer makes informers that come back within a second or so of the API
// server's return. The usual ones back off for up to a minute, and for all that time
// a change that came in through REST would be written but not in force.
// Chat resources are listed by lists.
func patientInformer(lists streamedLists, log logr.Logger) func(cache.ListerWatcher, runtime.Object, time.Duration, cache.Indexers) cache.SharedIndexInformer {
	return func(lw cache.ListerWatcher, example runtime.Object, resync time.Duration, indexers cache.Indexers) cache.SharedIndexInformer {
		usual := cache.ToListerWatcherWithContext(lw)
		p := &patient{ListerWatcher: lw, list: usual.ListWithContext, watch: usual.WatchWithContext, log: log}
		if s := lists[reflect.TypeOf(example)]; s != nil {
			p.list = s.list
		}
		return cache.NewSharedIndexInformer(p, example, resync, indexers)
	}
}

// patient tries until the API server can be reached. Whatever that answers, an error
// included, goes on to the informer, which knows what to do about it.
type patient struct {
	cache.ListerWatcher
	list  func(context.Context, metav1.ListOptions) (runtime.Object, error)
	watch func(context.Context, metav1.ListOptions) (watch.Interface, error)
	log   logr.Logger
}

var _ cache.ListerWatcherWithContext = (*patient)(nil)

// ListWithContext lists, once the API server can be reached.
func (p *patient) ListWithContext(ctx context.Context, o metav1.ListOptions) (list runtime.Object, err error) {
	err = p.reach(ctx, func() error { list, err = p.list(ctx, o); return err })
	return list, err
}

// WatchWithContext watches, once the API server can be reached.
func (p *patient) WatchWithContext(ctx context.Context, o metav1.ListOptions) (w watch.Interface, err error) {
	err = p.reach(ctx, func() error { w, err = p.watch(ctx, o); return err })
	return w, err
}

// IsWatchListSemanticsUnSupported has the informer ask for a list, and then watch. A watch that begins with everything there is costs the API server twice
// the processor time for thousands of custom resources, and this program half as much again, since each is encoded and decoded alone; while a start
// lasts, nobody can log in.
func (p *patient) IsWatchListSemanticsUnSupported() bool { return true }

func (p *patient) reach(ctx context.Context, try func() error) error {
	for told := false; ; told = true {
		err := try()
		if err == nil || !provision.Unreachable(err) {
			return err
		}
		if !told {
			p.log.Info("The Kubernetes API server cannot be reached; what is declared stays as it is meanwhile", "reason", err.Error())
		}
		// Replicas and kinds do not come all at once.
		pause := time.NewTimer(retryWatch + rand.N(retryWatch/2))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return err
		}
	}
}
