package storagetest

import (
	"context"
	"os"
	"sync"
	"testing"
)

// pool holds redis-server processes between two tests: to empty one takes less time than to start another.
type pool struct {
	mu   sync.Mutex
	on   bool
	idle []*Server
}

var shared pool // used when Main runs the tests, which closes it

func (p *pool) open() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.on = true
}

func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.on = false
	for _, s := range p.idle {
		s.discard()
	}
	p.idle = nil
}

// take returns an empty server that belongs to the test until it ends.
func (p *pool) take(t testing.TB) *Server {
	t.Helper()
	p.mu.Lock()
	on := p.on
	var s *Server
	if n := len(p.idle); n > 0 {
		s, p.idle = p.idle[n-1], p.idle[:n-1]
	}
	p.mu.Unlock()
	if !on {
		return StartRedis(t, Options{})
	}
	if s == nil {
		s = newServer(t, Options{})
	}
	t.Cleanup(func() { p.put(s) })
	return s
}

func (p *pool) put(s *Server) {
	err := s.empty()
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil || !p.on {
		s.discard()
		return
	}
	p.idle = append(p.idle, s)
}

// empty makes the server as good as new. It closes connections first: a command that was sent to a frozen server must not
// be executed after the flush.
func (s *Server) empty() error {
	if err := s.send(sigCont); err != nil {
		return err
	}
	c := s.plainClient()
	defer func() { _ = c.Close() }()
	ctx := context.Background()
	if err := c.Do(ctx, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes").Err(); err != nil {
		return err
	}
	if err := c.FlushAll(ctx).Err(); err != nil {
		return err
	}
	return c.ScriptFlush(ctx).Err()
}

// discard ends the process and removes its files.
func (s *Server) discard() {
	s.Kill()
	_ = os.RemoveAll(s.Dir)
}
