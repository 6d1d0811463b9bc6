// Package procs starts the processes that are measured, ends them, and asks the operating system what they used.
package procs

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// tick is the unit of times in /proc/PID/stat: USER_HZ, which is 100 on every architecture that Go runs on.
const tick = 10 * time.Millisecond

// stat is what /proc/PID/stat says.
type stat struct {
	pid, parent int
	cpu         time.Duration // of the process and of its ended and waited-for children
	threads     int
	rss         int64 // bytes
}

func readStat(pid int) (stat, error) {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return stat{}, err
	}
	return parseStat(b)
}

// parseStat reads a line as proc_pid_stat(5) describes it.
func parseStat(b []byte) (stat, error) {
	// The second field is the name in parentheses, which may hold anything, parentheses and blanks too.
	i := bytes.LastIndexByte(b, ')')
	if i < 0 {
		return stat{}, fmt.Errorf("/proc/PID/stat: %q", b)
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(b[:bytes.IndexByte(b, '(')])))
	if err != nil {
		return stat{}, fmt.Errorf("/proc/PID/stat: %w", err)
	}
	fields := bytes.Fields(b[i+1:]) // fields[0] is field 3
	number := func(n int) int64 {
		if n-3 >= len(fields) {
			err = errors.Join(err, fmt.Errorf("/proc/PID/stat has no field %d", n))
			return 0
		}
		v, e := strconv.ParseInt(string(fields[n-3]), 10, 64)
		err = errors.Join(err, e)
		return v
	}
	s := stat{
		pid:     pid,
		parent:  int(number(4)),
		cpu:     time.Duration(number(14)+number(15)+number(16)+number(17)) * tick,
		threads: int(number(20)),
		rss:     number(24) * int64(os.Getpagesize()),
	}
	return s, err
}

// tree returns the process and all its descendants.
func tree(root int) ([]stat, error) {
	first, err := readStat(root)
	if err != nil {
		return nil, err
	}
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	children := map[int][]stat{}
	for _, dir := range dirs {
		pid, _ := strconv.Atoi(filepath.Base(dir))
		if s, err := readStat(pid); err == nil { // one that has just ended is no error
			children[s.parent] = append(children[s.parent], s)
		}
	}
	all := []stat{first}
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i].pid]...)
	}
	return all, nil
}

// CPU is the processor time that a process and its children have taken.
func CPU(pid int) (time.Duration, error) {
	all, err := tree(pid)
	var sum time.Duration
	for _, s := range all {
		sum += s.cpu
	}
	return sum, err
}

// RSS is the memory that a process and its children hold.
func RSS(pid int) (int64, error) {
	all, err := tree(pid)
	var sum int64
	for _, s := range all {
		sum += s.rss
	}
	return sum, err
}
