package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opgrant/opgrant/storage/storagetest"
)

const heldConfig = `
issuer: http://auth.example
log: {format: text}
clients:
  - {id: operations, profile: legacy, refresh: static, grants: [password, refresh_token]}
  - {id: web, secret: web-secret-long, grants: [password, refresh_token], introspect: true}
users:
  - {username: alice, password: wonder land}
`

// memory is a line of /proc/PID/status in bytes.
func (p *process) memory(t *testing.T, name string) int64 {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(name + `:\s+(\d+) kB`).FindSubmatch(raw)
	if m == nil {
		t.Fatalf("no %s", name)
	}
	n, _ := strconv.ParseInt(string(m[1]), 10, 64)
	return n << 10
}

// Five hundred callers who have not proved who they are send 1 MB each, and hold what they can. The memory of the process is
// bounded, and an ordinary login is answered meanwhile.
func TestHeldBodiesAreBounded(t *testing.T) {
	if testing.Short() || runtime.GOOS != "linux" {
		t.Skip("reads the memory of a process of its own from /proc")
	}
	const callers, each, limit = 500, 1_000_000, 200 << 20
	redis := storagetest.StartRedis(t, storagetest.Options{})
	initStore(t, redis.URL())
	for _, target := range []struct{ path, kind, begin string }{
		{"/", "application/json", `{"operation":"create_authentication_tokens","username":"`},
		{"/oauth2/token", "application/x-www-form-urlencoded", "grant_type=password&client_id=web&username="},
		{"/oauth2/introspect", "application/x-www-form-urlencoded", "client_id=web&token="},
	} {
		t.Run(target.path, func(t *testing.T) {
			server := serveProcess(t, redis.URL(), "127.0.0.1:0", heldConfig)
			idle := server.memory(t, "VmRSS")
			address := strings.TrimPrefix(server.url, "http://")
			header := "POST " + target.path + " HTTP/1.1\r\nHost: x\r\nContent-Type: " + target.kind + "\r\n"
			var sending sync.WaitGroup
			var answered [600]atomic.Int64
			for i := range callers {
				conn, err := net.Dial("tcp", address)
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				go func() {
					if response, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil {
						answered[response.StatusCode].Add(1)
					}
				}()
				sending.Go(func() {
					// A third says that 1 MB will come; a third says nothing; a third keeps to the limit before authentication.
					declared, sent := "Content-Length: 1000000\r\n\r\n", each
					switch i % 3 {
					case 1:
						declared = fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n", each)
					case 2:
						declared, sent = fmt.Sprintf("Content-Length: %d\r\n\r\n", 256<<10), 255<<10
					}
					_ = conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
					_, err := io.WriteString(conn, header+declared+target.begin)
					for sent -= len(target.begin); sent > 0 && err == nil; sent -= 16 << 10 {
						_, err = io.WriteString(conn, strings.Repeat("x", min(sent, 16<<10)))
						time.Sleep(10 * time.Millisecond)
					}
				})
			}
			sending.Wait()
			var most int64
			for range 10 {
				most = max(most, server.memory(t, "VmRSS"))
				time.Sleep(50 * time.Millisecond)
			}
			ordinary, _ := server.post(t, "", `{"operation":"create_authentication_tokens","username":"alice","password":"wonder land"}`)
			peak := server.memory(t, "VmHWM")
			held := callers - answered[503].Load() - answered[413].Load() - answered[400].Load() - answered[401].Load()
			t.Logf("%s: %d MB resident before, %d MB while %d are held (%d × 503, %d × 413), %d MB at most",
				target.path, idle>>20, most>>20, held, answered[503].Load(), answered[413].Load(), peak>>20)
			if ordinary != http.StatusOK {
				t.Errorf("an ordinary login meanwhile: %d", ordinary)
			}
			if peak > limit {
				t.Errorf("%d MB resident", peak>>20)
			}
			if answered[503].Load() == 0 || answered[413].Load() == 0 { // then neither the budget nor the limit was reached
				t.Error("the bodies were not large enough, or not held for long enough")
			}
		})
	}
}
