package controllers

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/uuid"
	coordinationv1client "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// LeaseName is the Lease that several replicas campaign for.
const LeaseName = "chat-operator"

// Leadership says whether this replica reports and purges. Everything else, the
// projection and all of chat, is done by every replica, so that losing the
// Lease never ends the process and the sessions with it.
//
// The zero value follows.
type Leadership struct {
	leading atomic.Bool

	mu    sync.Mutex
	onWin []func()
}

// Leading says whether this replica leads now. Writers ask right before they write.
func (l *Leadership) Leading() bool { return l.leading.Load() }

// OnWin registers what happens whenever this replica becomes the leader, after
// Leading has begun to say so: a key that was looked at in between is looked at
// twice, never not at all. The functions must not block.
func (l *Leadership) OnWin(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.onWin = append(l.onWin, f)
}

func (l *Leadership) win() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leading.Store(true)
	for _, f := range l.onWin {
		f()
	}
}

func (l *Leadership) lose() { l.leading.Store(false) }

// alone leads for as long as the process runs: one replica needs no Lease, and
// writes none.
type alone struct{ leadership *Leadership }

func (a alone) NeedLeaderElection() bool { return false }

func (a alone) Start(ctx context.Context) error {
	a.leadership.win()
	<-ctx.Done()
	a.leadership.lose()
	return nil
}

// campaign runs for the Lease, again and again.
type campaign struct {
	leadership *Leadership
	config     *rest.Config
	namespace  string
	timing     LeaseTiming
	log        logr.Logger
}

// LeaseTiming says how quickly a lost leader is replaced.
type LeaseTiming struct {
	LeaseDuration, RenewDeadline, RetryPeriod time.Duration
}

// DefaultLeaseTiming is what Kubernetes' own components use.
func DefaultLeaseTiming() LeaseTiming {
	return LeaseTiming{LeaseDuration: 15 * time.Second, RenewDeadline: 10 * time.Second, RetryPeriod: 2 * time.Second}
}

func (c *campaign) NeedLeaderElection() bool { return false }

// Start campaigns until the context ends. Losing the Lease, or the API server,
// only means to campaign again.
func (c *campaign) Start(ctx context.Context) error {
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("reading the host name for the leader election: %w", err)
	}
	config := rest.CopyConfig(c.config)
	// A request that hangs must not outlast the deadline for renewing.
	config.Timeout = c.timing.RenewDeadline / 2
	client, err := coordinationv1client.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("making a client for the leader election: %w", err)
	}
	lock := &resourcelock.LeaseLock{
		LeaseMeta:  metav1.ObjectMeta{Namespace: c.namespace, Name: LeaseName},
		Client:     client,
		LockConfig: resourcelock.ResourceLockConfig{Identity: host + "_" + string(uuid.NewUUID())},
	}
	// An elector would ask for ever, and nobody would report.
	if _, _, err := lock.Get(ctx); apierrors.IsForbidden(err) {
		return fmt.Errorf("--leader-elect takes the right to get, create and update Leases in namespace %q, which the installation does not grant: one replica needs no election, "+
			"so leave it away: %w", c.namespace, err)
	}
	ctx = logr.NewContext(ctx, c.log)
	for ctx.Err() == nil {
		if err := c.term(ctx, lock); err != nil {
			return err
		}
	}
	return nil
}

// term waits for the Lease, leads while it is held, and returns when it is lost.
func (c *campaign) term(ctx context.Context, lock resourcelock.Interface) error {
	stopped := make(chan struct{})
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock:            lock,
		LeaseDuration:   c.timing.LeaseDuration,
		RenewDeadline:   c.timing.RenewDeadline,
		RetryPeriod:     c.timing.RetryPeriod,
		ReleaseOnCancel: true,
		Name:            LeaseName,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(held context.Context) {
				defer close(stopped)
				c.log.Info("Leading: reporting and purging from here")
				c.leadership.win()
				<-held.Done()
				c.leadership.lose()
				c.log.Info("Leading no longer: campaigning again")
			},
			OnStoppedLeading: func() { c.leadership.lose() },
		},
	})
	if err != nil {
		return fmt.Errorf("setting the leader election up: %w", err)
	}
	elector.Run(ctx)
	if ctx.Err() == nil {
		// Run has held the Lease and lost it, so that the callback runs. The next
		// term must not begin before this one has ended.
		<-stopped
	}
	return nil
}
