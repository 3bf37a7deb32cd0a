package storagetest

import (
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"testing"
)

// Kill ends the process with SIGKILL and waits for its end. It does nothing if the server is down.
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

// Freeze stops the process with SIGSTOP: connections stay open and no command is answered.
func (s *Server) Freeze(t testing.TB) { t.Helper(); s.signal(t, sigStop) }

// Thaw continues a frozen process.
func (s *Server) Thaw(t testing.TB) { t.Helper(); s.signal(t, sigCont) }

// Running reports whether the process exists, frozen or not.
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
	if err := s.send(sig); err != nil {
		t.Fatalf("signal %v: %v", sig, err)
	}
}

func (s *Server) send(sig os.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		return errors.New("storagetest: the server is down")
	}
	if err := s.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// freePort returns a port below the range that the kernel uses for outgoing connections. A port from that range could be
// taken before redis-server binds it, or before it restarts.
func freePort(t testing.TB) int {
	t.Helper()
	for range 200 {
		port := 11000 + rand.IntN(20000) // #nosec G404 -- a port for a test
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
