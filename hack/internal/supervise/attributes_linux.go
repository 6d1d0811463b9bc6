package supervise

import "syscall"

// attributes puts a child into its own process group and has the kernel end it when this program is gone, however that came.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
