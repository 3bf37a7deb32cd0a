//go:build !unix

package storagetest

import "os"

// This system cannot stop a process: tests that freeze a server fail with its error.
var (
	sigStop = os.Interrupt
	sigCont = os.Interrupt
)
