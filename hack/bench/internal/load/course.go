package load

import (
	"context"
	"fmt"
	"math"
	"sync/atomic"
	"time"
)

// never is later than anything that is due.
const never = math.MaxInt64

// course is a load that sessions are under, from the moment at which their readers start until whoever started them ends it. Readers and senders share it.
type course struct {
	begun  time.Time
	failed chan error // the first failure
	ending atomic.Bool
	since  atomic.Int64 // times of messages that were due from then on are kept
}

// begin is called before anything else.
func (c *course) begin() {
	c.begun, c.failed = time.Now(), make(chan error, 1)
	c.since.Store(never)
}

// clock is time since the load began, by the monotonic clock.
func (c *course) clock() time.Duration { return time.Since(c.begun) }

// fail keeps the first failure; what fails since the load is ended is none.
func (c *course) fail(err error) {
	if err == nil || c.ending.Load() {
		return
	}
	select {
	case c.failed <- err:
	default:
	}
}

// wait lets work go on for a time.
func (c *course) wait(ctx context.Context, d time.Duration) error {
	select {
	case err := <-c.failed:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// drain waits until nothing is missing of all that was sent.
func (c *course) drain(ctx context.Context, limit time.Duration, missing func() int) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		n := missing()
		if n == 0 {
			return nil
		}
		select {
		case err := <-c.failed:
			return err
		case <-ctx.Done():
			return fmt.Errorf("%d messages have not come to all for whom they are", n)
		case <-time.After(5 * time.Millisecond):
		}
	}
}
