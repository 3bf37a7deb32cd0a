package storagetest

import (
	"bufio"
	"bytes"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Proxy forwards connections to one Redis server and parses commands and replies. It can close a connection after the server
// has executed a command and before the client has the reply, so that the client does not know whether the command ran.
type Proxy struct {
	Addr string

	mu       sync.Mutex
	upstream string
	faults   Faults
	conns    map[net.Conn]struct{}

	cutBefore, cutAfter, refused atomic.Int64
}

// Faults are probabilities between 0 and 1, for each command that Match chooses.
type Faults struct {
	CutBefore float64       // close instead of passing the command on: it never ran
	CutAfter  float64       // close instead of passing the reply on: it ran, and the client does not know
	Delay     time.Duration // hold every reply back for up to this long
	Drop      bool          // discard replies: the connection stays open and silent

	// Refuse is what a new connection gets in place of Redis: this text for every command. RefuseAtOnce sends it before any
	// command, and closes. Connections that are open are left alone: CutAll closes them.
	Refuse       string
	RefuseAtOnce bool

	// Match chooses the commands; nil means scripts: EVAL, EVALSHA, FCALL.
	Match func(words []string) bool
}

// StartProxy listens on a loopback port in front of upstream (host:port), without faults at first.
func StartProxy(t testing.TB, upstream string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("proxy: %v", err)
	}
	p := &Proxy{Addr: l.Addr().String(), upstream: upstream, conns: map[net.Conn]struct{}{}}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(c)
		}
	}()
	t.Cleanup(func() { _ = l.Close(); p.CutAll() })
	return p
}

// Set replaces the faults. The zero value means none.
func (p *Proxy) Set(f Faults) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = f
}

// CutAll closes every connection.
func (p *Proxy) CutAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
}

// Cuts returns how often the proxy has cut before and after execution.
func (p *Proxy) Cuts() (before, after int64) { return p.cutBefore.Load(), p.cutAfter.Load() }

// Refused returns how many connections got the text of Faults.Refuse.
func (p *Proxy) Refused() int64 { return p.refused.Load() }

func (p *Proxy) current() Faults {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.faults
}

// refuse serves a connection that never reaches Redis.
func (p *Proxy) refuse(client net.Conn, f Faults) {
	p.mu.Lock()
	p.conns[client] = struct{}{}
	p.mu.Unlock()
	defer func() {
		_ = client.Close()
		p.mu.Lock()
		delete(p.conns, client)
		p.mu.Unlock()
	}()
	p.refused.Add(1)
	if f.RefuseAtOnce {
		_, _ = client.Write([]byte(f.Refuse))
		return
	}
	for r := bufio.NewReader(client); ; {
		if words, _, err := readCommand(r); err != nil || len(words) == 0 {
			return
		}
		if _, err := client.Write([]byte(f.Refuse)); err != nil {
			return
		}
	}
}

func (p *Proxy) serve(client net.Conn) {
	if f := p.current(); f.Refuse != "" {
		p.refuse(client, f)
		return
	}
	p.mu.Lock()
	addr := p.upstream
	p.mu.Unlock()
	server, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		_ = client.Close()
		return
	}
	p.mu.Lock()
	p.conns[client], p.conns[server] = struct{}{}, struct{}{}
	p.mu.Unlock()
	closeBoth := func() { _, _ = client.Close(), server.Close() }
	defer func() {
		closeBoth()
		p.mu.Lock()
		delete(p.conns, client)
		delete(p.conns, server)
		p.mu.Unlock()
	}()

	cuts := make(chan bool, 1<<16) // for each command that was sent: close instead of passing its reply on?
	go func() { defer closeBoth(); p.replies(client, server, cuts) }()
	p.commands(client, server, cuts)
}

// commands passes commands on and decides for each whether its reply is cut off.
func (p *Proxy) commands(client, server net.Conn, cuts chan<- bool) {
	defer close(cuts)
	for r := bufio.NewReader(client); ; {
		words, raw, err := readCommand(r)
		if err != nil || len(words) == 0 {
			return
		}
		f := p.current()
		chosen := isScript(words)
		if f.Match != nil {
			chosen = f.Match(words)
		}
		dice := rand.Float64() // #nosec G404 -- faults in tests, no secret
		if chosen && dice < f.CutBefore {
			p.cutBefore.Add(1)
			return
		}
		cuts <- chosen && dice < f.CutBefore+f.CutAfter
		if _, err := server.Write(raw); err != nil {
			return
		}
	}
}

func (p *Proxy) replies(client, server net.Conn, cuts <-chan bool) {
	for r := bufio.NewReader(server); ; {
		var buf bytes.Buffer
		push, err := readReply(r, &buf)
		if err != nil {
			return
		}
		if !push && <-cuts {
			p.cutAfter.Add(1)
			return
		}
		f := p.current()
		if f.Drop {
			continue
		}
		if f.Delay > 0 {
			time.Sleep(rand.N(f.Delay)) // #nosec G404 -- faults in tests, no secret
		}
		if _, err := client.Write(buf.Bytes()); err != nil {
			return
		}
	}
}

func isScript(words []string) bool {
	switch strings.ToUpper(words[0]) {
	case "EVAL", "EVALSHA", "FCALL":
		return true
	}
	return false
}
