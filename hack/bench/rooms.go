package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/chat-operator/chat-operator/hack/bench/internal/servers"
	"github.com/chat-operator/chat-operator/hack/bench/internal/stats"
)

// Who is in the rooms of the benchmark.
const (
	roomSenders = 20 // of the large room
	roomWindow  = 2  // messages of each that are under way when it is flooded

	manyOccupants = 10 // of each of many rooms
	manySessions  = 1000
	manyWait      = 10 * time.Second // before memory is read
)

// rooms measures a large room: entering it, messages, and what a small room has to suffer beside it. It is the last step of a visit, since its
// occupants are cut off.
func (v *visit) rooms(ctx context.Context) (err error) {
	p := v.plan
	if p.occupants == 0 {
		return nil
	}
	profiled := v.profiling("joins")
	busy, joining, err := v.target.Enter(ctx, "busy", 0, p.occupants, min(roomSenders, p.occupants), roomWindow)
	if err := errors.Join(err, profiled()); err != nil {
		return err
	}
	defer busy.Abandon()
	v.record(joinWall, joining.Wall.Seconds())
	v.record(joinCPU, joining.CPU.Seconds())

	profiled = v.profiling("room")
	cost, err := busy.Closed(ctx, p.warm, p.roomDuration)
	if err := errors.Join(err, profiled()); err != nil {
		return err
	}
	v.record(roomCPU, micros(cost.CPUEach()))
	v.record(roomRate, cost.Rate())
	half := cost.Rate() / float64(p.occupants) / 2
	profiled = v.profiling("half")
	latency, err := busy.Open(ctx, half, p.warm/2, p.roomDuration)
	if err := errors.Join(err, profiled()); err != nil {
		return err
	}
	v.record(roomHalfCPU, micros(latency.Cost.CPUEach()))
	v.record(roomP50, latency.Quantile(0.50))
	v.record(roomP99, latency.Quantile(0.99))
	v.record(roomLate, stats.Quantile(latency.Late, 0.99)/1000)

	quiet, err := v.startQuiet(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, quiet.stop()) }()
	latency, err = quiet.measure(p.roomDuration)
	if err != nil {
		return err
	}
	v.record(quietP99, latency.Quantile(0.99))
	err = busy.Flood(ctx, func() (err error) {
		latency, err = quiet.measure(p.roomDuration)
		return err
	})
	if err != nil {
		return err
	}
	v.record(besideP50, latency.Quantile(0.50))
	v.record(besideP99, latency.Quantile(0.99))
	return nil
}

// manyRooms measures what many small rooms hold in memory: once, on a server that has done nothing else.
// It is asked of the program of this repository alone: the others would need minutes for it.
func (r *runner) manyRooms(ctx context.Context, s servers.Server) (err error) {
	begin := time.Now()
	fmt.Fprintf(r.say, "Many rooms, %s ...", s.Name())
	defer func() {
		fmt.Fprintf(r.say, " %.1f s\n", time.Since(begin).Seconds())
	}()
	ctx, cancel := context.WithTimeout(ctx, visitLimit)
	defer cancel()
	defer func() { err = errors.Join(err, s.Stop()) }()
	t, err := s.Start(ctx)
	if err != nil {
		return err
	}
	held, err := t.ManyRooms(ctx, manySessions, r.plan.many, manyOccupants, manyWait)
	if err != nil {
		return err
	}
	r.results.record(0, s.Name(), manyMemory, float64(held)/(1<<20))
	v := &visit{runner: r, name: s.Name(), target: t}
	return v.heap("rooms")
}
