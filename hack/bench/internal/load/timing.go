package load

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/chat-operator/chat-operator/hack/bench/internal/client"
	"github.com/chat-operator/chat-operator/hack/bench/internal/stats"
)

// Timing tells how well the time that a refused login takes hides whether the account exists.
type Timing struct {
	// T are Welch's t of the two answers, challenge and refusal: unknown account against wrong password.
	T [2]float64
	// Medians are in microseconds: wrong password, unknown account.
	Medians [2][2]float64
}

// cropped is the share of slow answers that is left out of the comparison: they speak of the machine.
const cropped = 0.2

// timingNames is how many accounts take part.
const timingNames = 20

// Timing tries n times each to log in with a wrong password and as nobody, by turns.
func (t *Target) Timing(ctx context.Context, n int) (Timing, error) {
	var took [2][2][]float64 // [who][answer]
	names := min(t.Accounts, timingNames)
	for k := -2 * names; k < 2*n; k++ { // the first of each name has the generator compute its keys, and does not count
		who := k & 1
		name := Username((k + 2*names) / 2 % names)
		if who == 1 {
			name = "nobody" + name
		}
		x, err := client.Connect(ctx, t.Client)
		if err != nil {
			return Timing{}, err
		}
		answer := 0
		err = x.Authenticate(t.Client, name, "not "+t.Password, func(d time.Duration) {
			if k >= 0 {
				took[who][answer] = append(took[who][answer], float64(d.Nanoseconds())/1000)
			}
			answer++
		})
		x.Abort()
		if !errors.Is(err, client.ErrLogin) || answer != 2 {
			return Timing{}, fmt.Errorf("a login that should be refused with its second answer: answer %d, %w", answer, err)
		}
	}
	var r Timing
	for answer := range 2 {
		r.T[answer] = stats.Welch(stats.Crop(took[0][answer], cropped), stats.Crop(took[1][answer], cropped))
		r.Medians[answer] = [2]float64{stats.Median(took[0][answer]), stats.Median(took[1][answer])}
	}
	return r, nil
}
