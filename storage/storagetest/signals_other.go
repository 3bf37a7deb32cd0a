//go:build !unix

package storagetest

import "os"

// Freezing a process is unknown here: tests that ask for it fail with the system's own message.
var (
	sigStop = os.Interrupt
	sigCont = os.Interrupt
)
