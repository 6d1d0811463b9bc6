package core

import "context"

// Beat returns once every lock that clients wait for has been free, and the goroutine of Run has answered while it runs: a switchboard in which
// something hangs for good does not come back from it, unless ctx ends.
func (sb *Switchboard) Beat(ctx context.Context) {
	for i := range sb.table.shards {
		sb.table.shards[i].mu.Lock()
		sb.table.shards[i].mu.Unlock() //nolint:staticcheck // to have had it is the purpose
	}
	for _, lock := range []interface {
		Lock()
		Unlock()
	}{&sb.resumptions.mu, &sb.sleepers.mu, &sb.departing.mu, &sb.ledger.mu} {
		lock.Lock()
		lock.Unlock() //nolint:staticcheck // likewise
	}
	if !sb.serving.Load() {
		return
	}
	answered := make(chan struct{})
	select {
	case sb.beats <- answered:
	case <-ctx.Done():
		return
	}
	select {
	case <-answered:
	case <-ctx.Done():
	}
}
