package load

import (
	"context"
	"errors"
	"runtime"
	"syscall"
	"time"
)

// timetable says when each message is due, whatever the server does.
type timetable struct {
	begin, step time.Duration
	total, skip int // messages, and how many of them do not count
	clock       func() time.Duration

	late []float64 // by how much the generator itself was behind, in microseconds
}

func (t *timetable) due(k int) time.Duration { return t.begin + time.Duration(k)*t.step }

// keep sends every message when it is due. One thread does so by the kernel's clock: the runtime's timers are late by up to a
// millisecond.
func (t *timetable) keep(ctx context.Context, send func(k int, due time.Duration) error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for k := range t.total {
		due := t.due(k)
		if wait := due - t.clock(); wait > 0 {
			ts := syscall.NsecToTimespec(int64(wait))
			_ = syscall.Nanosleep(&ts, nil) // woken early is early by nothing that matters
		}
		if k >= t.skip {
			t.late = append(t.late, float64((t.clock()-due).Nanoseconds())/1000)
		}
		if err := errors.Join(send(k, due), ctx.Err()); err != nil {
			return err
		}
	}
	return nil
}
