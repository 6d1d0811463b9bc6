//go:build !linux

package supervise

import "syscall"

// attributes puts a child into its own process group. There is no way here to have it end with its parent: EndLeftovers does it at the next start.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
