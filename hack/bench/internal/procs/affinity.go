package procs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"unsafe"
)

// Avoid keeps all threads of this program off one processor; threads that are started later inherit it, and so do child processes
// that Wrap does not bind elsewhere.
func Avoid(cpu string) error {
	n, err := strconv.Atoi(cpu)
	if err != nil || n < 0 || n >= 1024 {
		return fmt.Errorf("%q is no number of a processor", cpu)
	}
	var mask [16]uint64
	size := unsafe.Sizeof(mask)
	if _, _, e := syscall.RawSyscall(syscall.SYS_SCHED_GETAFFINITY, 0, size, uintptr(unsafe.Pointer(&mask))); e != 0 {
		return fmt.Errorf("sched_getaffinity: %w", e)
	}
	mask[n/64] &^= 1 << (n % 64)
	if mask == [16]uint64{} {
		return errors.New("no processor is left for the generator")
	}
	threads, err := filepath.Glob("/proc/self/task/[0-9]*")
	if err != nil {
		return err
	}
	for _, dir := range threads {
		tid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			return err
		}
		if _, _, e := syscall.RawSyscall(syscall.SYS_SCHED_SETAFFINITY, uintptr(tid), size, uintptr(unsafe.Pointer(&mask))); e != 0 && e != syscall.ESRCH {
			return fmt.Errorf("sched_setaffinity: %w", e)
		}
	}
	left := 0
	for _, word := range mask {
		for ; word != 0; word &= word - 1 {
			left++
		}
	}
	runtime.GOMAXPROCS(min(left, runtime.NumCPU()))
	return nil
}

// Executable copies a program so that building it anew does not change what runs.
func Executable(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o700)
}
