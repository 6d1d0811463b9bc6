//go:build race

package transfer

// raceEnabled says that the race detector, which takes time and memory of its own, is on.
const raceEnabled = true
