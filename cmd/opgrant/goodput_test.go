package main

import (
	"encoding/base64"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"

	"github.com/opgrant/opgrant/storage/storagetest"
)

var goodputRow = flag.Duration("goodput", 0, "how long TestGoodput measures each row; 0 skips it")

const (
	goodputUsers    = 4000
	goodputPassword = "enough for everybody"
)

// TestGoodput measures how much a saturated server answers, as a process on a real Redis with default settings:
//
//	go test ./cmd/opgrant -run TestGoodput -goodput 8s -v -timeout 0
//
// Callers in a closed loop find the rate and the concurrency of the peak; then there are once, three times and thirty times as
// many. Callers that are refused ask again at once. It fails below 80 % of the peak, or if a refusal takes more than 100 ms at
// the median, or if the server took Redis for dead. The callers share the cores with the server: compare ratios only.
func TestGoodput(t *testing.T) {
	if *goodputRow == 0 {
		t.Skip("measures time: set -goodput 8s")
	}
	s := startGoodput(t)
	for _, row := range []struct {
		name string
		pick pick
	}{{"refresh", only("refresh")}, {"introspect", only("introspect")}, {"80 % refresh, 10 % introspect, 10 % login", mixed}} {
		t.Run(row.name, func(t *testing.T) { s.rows(t, row.pick) })
	}
	t.Run("refresh during a flood of logins", s.flood)
	t.Run("500 logins at once", s.burst)
}

// goodputServer is a running server.
type goodputServer struct {
	address, admin string
	freshUser      atomic.Int64
	callers        []*caller
}

func (s *goodputServer) rows(t *testing.T, what pick) {
	var peak *outcome
	var tried strings.Builder
	for n := 4; n <= 128; n *= 2 {
		got := load(s.use(t, n), what, max(*goodputRow/3, time.Second), 0, &s.freshUser)
		fmt.Fprintf(&tried, " %d: %.0f/s", n, got.rate())
		if peak == nil || got.rate() > peak.rate() {
			peak = got
		}
	}
	peak = load(s.use(t, peak.callers), what, *goodputRow, 0, &s.freshUser)
	t.Logf("%d cores; callers: answers 200%s", runtime.NumCPU(), tried.String())
	t.Log("callers |  200/s | of peak | 200 median   99 % |     503 | 503 median   99 % | others | breaker")
	for _, times := range []int{1, 3, 30} {
		callers := s.use(t, times*peak.callers)
		open := s.watchBreaker()
		got := load(callers, what, *goodputRow, 0, &s.freshUser)
		breaker, share := open(), got.rate()/peak.rate()
		t.Logf("%3d×%3d | %6.0f | %5.0f %% | %10v %7v | %7d | %10v %7v | %6d | %s", times, peak.callers, got.rate(), 100*share,
			percentile(got.good, .5), percentile(got.good, .99), len(got.bad), percentile(got.bad, .5), percentile(got.bad, .99), got.others, breaker)
		if share < .8 || percentile(got.bad, .5) > 100*time.Millisecond || got.others > 0 || breaker != "closed" {
			t.Errorf("%d times the peak: %.0f %%, 503s at %v, others %d %s, breaker %s", times, 100*share, percentile(got.bad, .5), got.others, got.example, breaker)
		}
	}
}

// flood measures refreshes alone, and while more users log in than can be hashed.
func (s *goodputServer) flood(t *testing.T) {
	quiet := load(s.use(t, 4), only("refresh"), *goodputRow, 20*time.Millisecond, &s.freshUser)
	var logins *outcome
	var all sync.WaitGroup
	flooding := s.use(t, 204)[4:]
	all.Go(func() { logins = load(flooding, only("login"), *goodputRow, 0, &s.freshUser) })
	time.Sleep(300 * time.Millisecond)
	busy := load(s.callers[:4], only("refresh"), *goodputRow-300*time.Millisecond, 20*time.Millisecond, &s.freshUser)
	all.Wait()
	for _, row := range []struct {
		name string
		got  *outcome
	}{{"refresh alone", quiet}, {"refresh during the flood", busy}, {"logins of the flood", logins}} {
		t.Logf("%-25s %6.1f/s 200, median %v, 99 %% %v; 503: %d, median %v; others %d %s", row.name, row.got.rate(), percentile(row.got.good, .5),
			percentile(row.got.good, .99), len(row.got.bad), percentile(row.got.bad, .5), row.got.others, row.got.example)
	}
}

// burst logs in 500 users at once, none of whom has logged in before.
func (s *goodputServer) burst(t *testing.T) {
	var times []time.Duration
	refused := map[int]int{}
	var mutex sync.Mutex
	var all sync.WaitGroup
	for range 500 {
		all.Go(func() {
			c := &caller{leanConn: leanConn{address: s.address}}
			defer c.close()
			sent := time.Now()
			status, err := c.send("login", &s.freshUser)
			mutex.Lock()
			defer mutex.Unlock()
			if err != nil || status != 200 {
				refused[status]++
				return
			}
			times = append(times, time.Since(sent))
		})
	}
	all.Wait()
	t.Logf("%d answers 200, median %v, slowest %v", len(times), percentile(times, .5), percentile(times, 1))
	if len(refused) > 0 {
		t.Errorf("others, by status: %v", refused)
	}
}

// use returns the first n callers.
func (s *goodputServer) use(t *testing.T, n int) []*caller {
	t.Helper()
	if missing := n - len(s.callers); missing > 0 {
		s.callers = append(s.callers, newCallers(t, s.address, missing)...)
	}
	return s.callers[:n]
}

// watchBreaker reads the metric of the breaker until the returned function is called.
func (s *goodputServer) watchBreaker() func() string {
	var mutex sync.Mutex
	state := "unknown"
	read := func() {
		resp, err := (&http.Client{Timeout: 5 * time.Second}).Get("http://" + s.admin + "/metrics")
		if err != nil {
			return
		}
		defer func() { _ = resp.Body.Close() }()
		body, _ := io.ReadAll(resp.Body)
		mutex.Lock()
		defer mutex.Unlock()
		switch {
		case strings.Contains(string(body), "\nopgrant_redis_breaker_open 1"):
			state = "OPEN"
		case state == "unknown" && strings.Contains(string(body), "\nopgrant_redis_breaker_open 0"):
			state = "closed"
		}
	}
	stop := repeatedly(250*time.Millisecond, read)
	return func() string {
		stop()
		read()
		return state
	}
}

func repeatedly(every time.Duration, what func()) (stop func()) {
	quit := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		for {
			select {
			case <-quit:
				return
			case <-time.After(every):
				what()
			}
		}
	})
	return func() { close(quit); done.Wait() }
}

// startGoodput starts the server as a process, with users whose passwords cost what they cost by default.
func startGoodput(t *testing.T) *goodputServer {
	t.Helper()
	redis := storagetest.StartRedis(t, storagetest.Options{AOF: storagetest.AOFEverySec}).URL()
	initStore(t, redis)
	dir := t.TempDir()
	importGoodputUsers(t, redis, dir)
	file := filepath.Join(dir, "opgrant.yaml")
	mustWrite(t, file, "log: {format: text}\nclients:\n  - {id: web, secret: web-secret-long, grants: [password, refresh_token], introspect: true}\n"+
		"  - {id: operations, profile: legacy, refresh: static, grants: [password, refresh_token]}\n")
	s := &goodputServer{admin: freeAddress(t)}
	cmd := exec.CommandContext(t.Context(), "opgrant", "serve", "--redis", redis, "--config", file, "--listen", "127.0.0.1:0", "--admin-listen", s.admin)
	logs, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	s.address = awaitReady(t, logs) // which goes on reading the log
	return s
}

// importGoodputUsers adds users with one password hash of the default costs.
func importGoodputUsers(t *testing.T, redis, dir string) {
	t.Helper()
	b64, salt := base64.RawStdEncoding.EncodeToString, []byte("sixteen bytes !!")
	hash := fmt.Sprintf("$argon2id$v=19$m=19456,t=2,p=1$%s$%s", b64(salt), b64(argon2.IDKey([]byte(goodputPassword), salt, 2, 19456, 1, 32)))
	var rows strings.Builder
	for i := range goodputUsers {
		fmt.Fprintf(&rows, `{"username":"user%04d","password_hash":"%s"}`+"\n", i, hash)
	}
	file := filepath.Join(dir, "users.json")
	mustWrite(t, file, rows.String())
	if out, err := command(t, redis, "user", "import", file); err != nil {
		t.Fatal(out, err)
	}
}
