package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/chat-operator/chat-operator/hack/bench/internal/load"
	"github.com/chat-operator/chat-operator/hack/bench/internal/servers"
	"github.com/chat-operator/chat-operator/hack/bench/internal/stats"
)

// measure is a row of the table.
type measure struct {
	name, unit string
	more       bool // is better
	noRatio    bool // it says something about the generator, or is too small to divide
}

var (
	loginCPU         = measure{name: "login, CPU", unit: "ms"}
	loginRate        = measure{name: "login, 8 at a time", unit: "/s", more: true}
	messageCPU       = measure{name: "1:1 message, CPU", unit: "µs"}
	messageRate      = measure{name: "1:1 messages", unit: "/s", more: true}
	openCPU          = measure{name: "1:1 at the fixed rate, CPU", unit: "µs"}
	p50              = measure{name: "1:1 at the fixed rate, p50", unit: "ms"}
	p99              = measure{name: "1:1 at the fixed rate, p99", unit: "ms"}
	late             = measure{name: "  generator behind by, p99", unit: "ms", noRatio: true}
	idleMemory       = measure{name: "idle session, memory", unit: "KiB"}
	idleCPU          = measure{name: "all idle sessions, CPU", unit: "%", noRatio: true}
	offlineStoreCPU  = measure{name: "offline, store, CPU", unit: "µs"}
	offlineStoreRate = measure{name: "offline, store", unit: "/s", more: true}
	offlineGiveCPU   = measure{name: "offline, give back, CPU", unit: "µs"}
	offlineGiveRate  = measure{name: "offline, give back", unit: "/s", more: true}
	joinWall         = measure{name: "all enter a room", unit: "s"}
	joinCPU          = measure{name: "all enter a room, CPU", unit: "s"}
	roomCPU          = measure{name: "room, delivered message, CPU", unit: "µs"}
	roomRate         = measure{name: "room, delivered messages", unit: "/s", more: true}
	roomHalfCPU      = measure{name: "room at half of that, CPU", unit: "µs"}
	roomP50          = measure{name: "room at half of that, p50", unit: "ms"}
	roomP99          = measure{name: "room at half of that, p99", unit: "ms"}
	roomLate         = measure{name: "  generator behind by in the room, p99", unit: "ms", noRatio: true}
	quietP99         = measure{name: "quiet room, p99", unit: "ms"}
	besideP50        = measure{name: "quiet room beside a flooded one, p50", unit: "ms"}
	besideP99        = measure{name: "quiet room beside a flooded one, p99", unit: "ms"}
	manyMemory       = measure{name: "many rooms, memory", unit: "MiB"}

	restP50           = measure{name: "POST /users, p50", unit: "ms"}
	restP99           = measure{name: "POST /users, p99", unit: "ms"}
	restRatio         = measure{name: "  of that of the two objects alone", unit: "times"}
	restP50Together   = measure{name: "POST /users, 8 at a time, p50", unit: "ms"}
	restP99Together   = measure{name: "POST /users, 8 at a time, p99", unit: "ms"}
	restRatioTogether = measure{name: "  of that of the two objects alone, 8 at a time", unit: "times"}
	restGetCPU        = measure{name: "GET /users/u, CPU", unit: "µs"}
	restP99Beside     = measure{name: "POST /users while many are applied, p99", unit: "ms"}
	restRatioBeside   = measure{name: "  of that of the two objects alone, meanwhile", unit: "times"}
	restList          = measure{name: "GET /users, all", unit: "ms"}

	scaleLogin         = measure{name: "many accounts applied, until all can log in", unit: "s"}
	scaleReady         = measure{name: "many accounts applied, until all are Ready", unit: "s"}
	scaleReadyRatio    = measure{name: "  of the time to write them and their status alone", unit: "times"}
	scaleHeap          = measure{name: "many accounts, heap of each", unit: "KiB"}
	scaleRestCPU       = measure{name: "many accounts at rest, CPU", unit: "% of a core"}
	scaleRestWrites    = measure{name: "many accounts at rest, API writes", unit: ""}
	scaleLock          = measure{name: "account locked, until its session is closed, p99", unit: "ms"}
	scaleRotate        = measure{name: "Secret changed, until its password counts, p99", unit: "ms"}
	scaleRestart       = measure{name: "killed with many accounts, until one can log in", unit: "s"}
	scaleRestartWrites = measure{name: "killed with many accounts, API writes", unit: ""}
)

func measures() []measure {
	return []measure{
		loginCPU, loginRate, messageCPU, messageRate, openCPU, p50, p99, late, idleMemory, idleCPU,
		offlineStoreCPU, offlineStoreRate, offlineGiveCPU, offlineGiveRate,
		joinWall, joinCPU, roomCPU, roomRate, roomHalfCPU, roomP50, roomP99, roomLate, quietP99, besideP50, besideP99, manyMemory,
		restP50, restP99, restRatio, restP50Together, restP99Together, restRatioTogether, restGetCPU, restP99Beside, restRatioBeside, restList,
		scaleLogin, scaleReady, scaleReadyRatio, scaleHeap, scaleRestCPU, scaleRestWrites, scaleLock, scaleRotate, scaleRestart, scaleRestartWrites,
	}
}

// results are all values of all rounds.
type results struct {
	values    map[string]map[measure][]float64 // by server; NaN where a round has none
	latencyOf [][]string                       // rows of the file
	timings   []load.Timing
}

func newResults() *results { return &results{values: map[string]map[measure][]float64{}} }

func (r *results) record(round int, server string, m measure, value float64) {
	of := r.values[server]
	if of == nil {
		of = map[measure][]float64{}
		r.values[server] = of
	}
	for len(of[m]) <= round {
		of[m] = append(of[m], math.NaN())
	}
	of[m][round] = value
}

func (r *results) latencies(round int, server string, micros []float64) {
	for _, v := range micros {
		r.latencyOf = append(r.latencyOf, []string{strconv.Itoa(round + 1), server, strconv.FormatFloat(v, 'f', 1, 64)})
	}
}

// writeCSV writes every value of every round, and every message's time.
func (r *results) writeCSV(dir string) error {
	rows := [][]string{{"round", "server", "measure", "unit", "value"}}
	for server, of := range r.values {
		for _, m := range measures() {
			for round, v := range of[m] {
				if !math.IsNaN(v) {
					rows = append(rows, []string{strconv.Itoa(round + 1), server, strings.TrimSpace(m.name), m.unit, strconv.FormatFloat(v, 'g', -1, 64)})
				}
			}
		}
	}
	return errors.Join(
		writeRows(filepath.Join(dir, "samples.csv"), rows),
		writeRows(filepath.Join(dir, "latency.csv"), append([][]string{{"round", "server", "microseconds"}}, r.latencyOf...)),
	)
}

func writeRows(path string, rows [][]string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(csv.NewWriter(f).WriteAll(rows), f.Close())
}

// betterPeer returns, round by round, the better of the other servers' values.
func (r *results) betterPeer(m measure) []float64 {
	var best []float64
	for server, of := range r.values {
		if !servers.IsPeer(server) {
			continue
		}
		for round, v := range of[m] {
			for len(best) <= round {
				best = append(best, math.NaN())
			}
			if math.IsNaN(best[round]) || !math.IsNaN(v) && (v > best[round]) == m.more {
				best[round] = v
			}
		}
	}
	return best
}

// print writes the table: medians with the least and the most, and the medians of the rounds' ratios.
func (r *results) print(w io.Writer, p plan, chosen []servers.Server, machine string) {
	fmt.Fprintf(w, "%s\n", machine)
	fmt.Fprintf(w, "%d rounds; %d sessions, idle %v; %d pairs, window %d, %v; fixed rate %d/s; a room of %d, %v; %d rooms of %d. "+
		"Medians (least to most).\n\n",
		p.rounds, p.sessions, p.idle, p.pairs, p.window, p.duration, p.rate, p.occupants, p.roomDuration, p.many, manyOccupants)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := "measure\t"
	for _, s := range chosen {
		line += s.Name() + "\t"
	}
	fmt.Fprintln(t, line+"self/floor\tself/better peer")
	own := r.values[servers.SelfName]
	for _, m := range measures() {
		title := m.name
		if m.unit != "" {
			title += ", " + m.unit
		}
		line, any := title+"\t", false
		for _, s := range chosen {
			values := stats.Known(r.values[s.Name()][m])
			any = any || len(values) > 0
			line += spread(values) + "\t"
		}
		if !any {
			continue
		}
		if !m.noRatio {
			line += ratio(own[m], r.values[servers.FloorName][m]) + "\t" + ratio(own[m], r.betterPeer(m))
		} else {
			line += "\t"
		}
		fmt.Fprintln(t, line)
	}
	_ = t.Flush()
	r.printTimings(w)
}

// chance is what Welch's t exceeds once in 1,000 when there is no difference.
const chance = 3.3

func (r *results) printTimings(w io.Writer) {
	if len(r.timings) == 0 {
		return
	}
	fmt.Fprintln(w, "\nRefused logins, unknown account against wrong password: Welch's t (|t| above 3.3 is chance once in 1,000), medians in µs")
	for i, timing := range r.timings {
		for answer, what := range []string{"challenge", "refusal"} {
			verdict := "no difference seen"
			if math.Abs(timing.T[answer]) > chance {
				verdict = "DIFFERS"
			}
			fmt.Fprintf(w, "  round %d, %s: t = %.1f, wrong password %.0f, unknown account %.0f: %s\n",
				i+1, what, timing.T[answer], timing.Medians[answer][0], timing.Medians[answer][1], verdict)
		}
	}
}

func ratio(a, b []float64) string {
	r := stats.Ratios(a, b)
	if len(r) == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", stats.Median(r))
}

func spread(values []float64) string {
	switch len(values) {
	case 0:
		return "–"
	case 1:
		return number(values[0])
	}
	low, high := math.Inf(1), math.Inf(-1)
	for _, v := range values {
		low, high = min(low, v), max(high, v)
	}
	return fmt.Sprintf("%s (%s–%s)", number(stats.Median(values)), number(low), number(high))
}

// number has three significant digits.
func number(v float64) string {
	switch {
	case math.Abs(v) >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case math.Abs(v) >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}
