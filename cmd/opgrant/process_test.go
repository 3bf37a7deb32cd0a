package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// process is the program as a process of its own.
type process struct {
	operationsAPI
	*exec.Cmd
	logs *logLines
}

// logLines keeps what a process logs.
type logLines struct {
	sync.Mutex
	text strings.Builder
}

func (l *logLines) Write(p []byte) (int, error) {
	l.Lock()
	defer l.Unlock()
	return l.text.Write(p)
}

func (l *logLines) all() string {
	l.Lock()
	defer l.Unlock()
	return l.text.String()
}

func (l *logLines) count(text string) int { return strings.Count(l.all(), text) }

// serveProcess starts `opgrant serve` on a Redis with a store, and returns when it is ready.
func serveProcess(t *testing.T, redis, listen, configuration string, environ ...string) *process {
	t.Helper()
	file := filepath.Join(t.TempDir(), "opgrant.yaml")
	mustWrite(t, file, configuration)
	return startProgram(t, []string{"serve", "--redis", redis, "--config", file, "--listen", listen, "--admin-listen", "off"}, environ...)
}

// startDev starts `opgrant serve --dev`, and returns when it is ready.
func startDev(t *testing.T) *process {
	t.Helper()
	return startProgram(t, []string{"serve", "--dev", "--listen", "127.0.0.1:0", "--admin-listen", "off"})
}

func startProgram(t *testing.T, args []string, environ ...string) *process {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "opgrant", args...)
	cmd.Env = append(os.Environ(), environ...)
	reader, writer := io.Pipe()
	p := &process{Cmd: cmd, logs: &logLines{}}
	cmd.Stderr = io.MultiWriter(p.logs, writer)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = writer.Close()
	})
	p.url = "http://" + awaitReady(t, reader)
	return p
}
