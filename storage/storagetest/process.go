package storagetest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// AOF says how a server keeps its append-only file.
type AOF string

// The append-only file modes of redis-server. The zero value keeps nothing on disk.
const (
	AOFOff      AOF = ""
	AOFEverySec AOF = "everysec"
	AOFAlways   AOF = "always"
)

// Options describe the server that StartRedis starts. The zero value is a server without persistence,
// without password, on a free loopback port.
type Options struct {
	AOF        AOF
	Password   string   // requirepass and masterauth
	UnixSocket bool     // listen on Server.Socket too
	Config     []string // further lines of redis.conf, for example "maxmemory 20mb"
}

// Server is a private redis-server process. It ends with the test that started it.
type Server struct {
	Addr     string // host:port
	Socket   string // path of the unix socket, when Options asked for one
	Password string
	Dir      string // working directory: redis.conf, redis.log, append-only files

	port     int
	args     []string
	sentinel bool

	mu   sync.Mutex
	cmd  *exec.Cmd     // nil while the server is down
	done chan struct{} // closed when cmd has been reaped
}

// RequireEnv names the environment variable which, set to 1, makes a missing redis-server a failure
// instead of a skipped test.
const RequireEnv = "OPGRANT_TEST_REQUIRE_REDIS"

func required() bool { return os.Getenv(RequireEnv) == "1" }

// Installed reports whether redis-server is in PATH. If it is not and RequireEnv is set, the test fails.
func Installed(t testing.TB) bool {
	t.Helper()
	_, err := exec.LookPath("redis-server")
	if err != nil && required() {
		t.Fatalf("%s=1, but there is no redis-server in PATH", RequireEnv)
	}
	return err == nil
}

func requireInstalled(t testing.TB) {
	t.Helper()
	if !Installed(t) {
		t.Skip("no redis-server in PATH")
	}
}

// StartRedis starts a private redis-server and returns when it answers. Where redis-server is not
// installed the test is skipped, or fails with RequireEnv set.
func StartRedis(t testing.TB, o Options) *Server {
	t.Helper()
	requireInstalled(t)
	s := newServer(t, o)
	t.Cleanup(s.discard)
	return s
}

// newServer starts a server that the caller must discard.
func newServer(t testing.TB, o Options) *Server {
	t.Helper()
	lines := []string{`save ""`, "protected-mode yes", "daemonize no", "enable-debug-command local"}
	if o.AOF == AOFOff {
		lines = append(lines, "appendonly no")
	} else {
		lines = append(lines, "appendonly yes", "appendfsync "+string(o.AOF))
	}
	if o.Password != "" {
		lines = append(lines, "requirepass "+o.Password, "masterauth "+o.Password)
	}
	s := &Server{Password: o.Password, Dir: shortDir(t)}
	if o.UnixSocket {
		s.Socket = filepath.Join(s.Dir, "s.sock")
		lines = append(lines, "unixsocket "+s.Socket, "unixsocketperm 700")
	}
	s.launch(t, append(lines, o.Config...))
	return s
}

// shortDir makes a directory whose path is short enough for a Unix socket, which that of t.TempDir may not be.
func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "redis")
	if err != nil {
		t.Fatalf("directory for redis-server: %v", err)
	}
	return dir
}

// launch writes the configuration and starts the process. It tries other ports when the one that was free
// a moment ago has been taken.
func (s *Server) launch(t testing.TB, lines []string) {
	t.Helper()
	conf := filepath.Join(s.Dir, "redis.conf")
	var err error
	for range 5 {
		s.port = freePort(t)
		s.Addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port))
		text := append([]string{
			"bind 127.0.0.1", "port " + strconv.Itoa(s.port), "dir " + s.Dir, "logfile " + filepath.Join(s.Dir, "redis.log"),
		}, lines...)
		if err := os.WriteFile(conf, []byte(strings.Join(text, "\n")+"\n"), 0o600); err != nil {
			t.Fatalf("redis.conf: %v", err)
		}
		s.args = []string{conf}
		if s.sentinel {
			s.args = append(s.args, "--sentinel")
		}
		if err = s.start(); err == nil {
			return
		}
	}
	log := s.LogTail(15)
	s.discard()
	t.Fatalf("redis-server does not start: %v\n%s", err, log)
}

func (s *Server) start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd != nil {
		return errors.New("storagetest: the server runs already")
	}
	cmd := exec.Command("redis-server", s.args...) // #nosec G204 -- a tool for tests
	cmd.SysProcAttr = dieWithParent()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("storagetest: start redis-server: %w", err)
	}
	done := make(chan struct{})
	go func() { _ = cmd.Wait(); close(done) }()
	s.cmd, s.done = cmd, done

	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		select {
		case <-done:
			s.cmd = nil
			return errors.New("storagetest: redis-server ended at once")
		default:
		}
		if s.answers() {
			return nil
		}
	}
	return errors.New("storagetest: redis-server does not answer within 30s")
}

func (s *Server) answers() bool {
	conn, err := net.DialTimeout("tcp", s.Addr, time.Second)
	if err != nil {
		return false
	}
	_ = conn.Close()
	c := s.plainClient()
	defer func() { _ = c.Close() }()
	return c.Ping(context.Background()).Err() == nil
}

func (s *Server) plainClient() *redis.Client {
	return redis.NewClient(&redis.Options{
		Addr: s.Addr, Password: s.Password, Protocol: 2, MaxRetries: -1, DisableIdentity: true,
		DialTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second, DialerRetries: 1,
	})
}

// Client returns a client for administration (CONFIG SET, INFO, CLIENT KILL), without retries. It is
// closed when the test ends.
func (s *Server) Client(t testing.TB) *redis.Client {
	t.Helper()
	c := s.plainClient()
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// URL is the redis:// address of the server, password included.
func (s *Server) URL() string {
	if s.Password == "" {
		return "redis://" + s.Addr
	}
	return "redis://:" + s.Password + "@" + s.Addr
}

// LogTail returns the last n lines of the server's log.
func (s *Server) LogTail(n int) string {
	b, err := os.ReadFile(filepath.Join(s.Dir, "redis.log"))
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
