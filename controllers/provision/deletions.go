package provision

import (
	"maps"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
)

// deletions remembers what this program deletes: a watch says that something is gone, and not who did it.
type deletions struct {
	clock clock.PassiveClock

	mu sync.Mutex
	at map[types.UID]time.Time
}

// rememberDeletions is how long a watch may be behind.
const rememberDeletions = 10 * time.Minute

func newDeletions(c clock.PassiveClock) *deletions {
	return &deletions{clock: c, at: map[types.UID]time.Time{}}
}

// note is called before the deletion.
func (d *deletions) note(uid types.UID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.clock.Now()
	maps.DeleteFunc(d.at, func(_ types.UID, at time.Time) bool { return now.Sub(at) > rememberDeletions })
	d.at[uid] = now
}

// take says whether a deletion was noted, and forgets it.
func (d *deletions) take(uid types.UID) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, ok := d.at[uid]
	delete(d.at, uid)
	return ok
}

// Deleted says whether it was this program that deleted a resource, to whoever asks first.
func (p *Provisioner) Deleted(uid types.UID) bool { return p.deletions.take(uid) }
