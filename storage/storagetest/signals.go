package storagetest

import (
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"testing"
)

// Kill ends the server as kill -9 does: no goodbye, no last write. A server that is down stays down.
func (s *Server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill()
	<-s.done
	s.cmd = nil
}

// Restart starts a killed server again, on the same port and with the same files.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	if err := s.start(); err != nil {
		t.Fatalf("restart: %v\n%s", err, s.LogTail(15))
	}
}

// Freeze stops the process as kill -STOP does: connections stay open and nobody answers.
func (s *Server) Freeze(t testing.TB) { t.Helper(); s.signal(t, sigStop) }

// Thaw lets a frozen process run on.
func (s *Server) Thaw(t testing.TB) { t.Helper(); s.signal(t, sigCont) }

// Running reports whether the process is there, frozen or not.
func (s *Server) Running() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		return false
	}
	select {
	case <-s.done:
		return false
	default:
		return true
	}
}

func (s *Server) signal(t testing.TB, sig os.Signal) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		t.Fatal("signal for a server that is down")
	}
	if err := s.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatalf("signal %v: %v", sig, err)
	}
}

// freePort looks below the range from which kernels take the ports of outgoing connections: a port
// from that range may be gone before redis-server binds it, and again when it restarts.
func freePort(t testing.TB) int {
	t.Helper()
	for range 200 {
		port := 11000 + rand.IntN(20000)
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		_ = l.Close()
		return port
	}
	t.Fatal("no free port between 11000 and 31000")
	return 0
}
