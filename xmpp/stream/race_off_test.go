//go:build !race

package stream

// raceEnabled says that the race detector, which takes memory of its own, is on.
const raceEnabled = false
