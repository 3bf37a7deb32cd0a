package storagetest

import "syscall"

// dieWithParent lets the kernel end the server when the test binary is killed and runs no clean-up.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
