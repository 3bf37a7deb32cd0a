package storagetest

import "syscall"

// dieWithParent makes the kernel kill the server when the test process ends without its clean-up.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
