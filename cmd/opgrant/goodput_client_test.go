package main

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// leanConn is one connection that is kept open. The client shares the cores with the server that it measures, so it does less
// than net/http does.
type leanConn struct {
	address string
	conn    net.Conn
	in      *bufio.Reader
}

// form sends a form as the client web, and returns the status and the body of the answer.
func (c *leanConn) form(path, form string) (status int, body string, err error) {
	if c.conn == nil {
		if c.conn, err = net.DialTimeout("tcp", c.address, 10*time.Second); err != nil {
			return 0, "", err
		}
		c.in = bufio.NewReaderSize(c.conn, 4096)
	}
	defer func() {
		if err != nil {
			c.close()
		}
	}()
	_ = c.conn.SetDeadline(time.Now().Add(time.Minute))
	if _, err = c.conn.Write([]byte("POST " + path + " HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic " + webCredentials +
		"\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: " + strconv.Itoa(len(form)) + "\r\n\r\n" + form)); err != nil {
		return 0, "", err
	}
	line, err := c.in.ReadString('\n')
	if err != nil {
		return 0, "", err
	}
	if len(line) < 12 {
		return 0, "", fmt.Errorf("status line %q", line)
	}
	if status, err = strconv.Atoi(line[9:12]); err != nil {
		return 0, "", err
	}
	length, again := -1, false
	for {
		if line, err = c.in.ReadString('\n'); err != nil {
			return 0, "", err
		}
		if line == "\r\n" {
			break
		}
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch name {
		case "Content-Length":
			length, _ = strconv.Atoi(value)
		case "Retry-After":
			again = true
		}
	}
	if length < 0 {
		return 0, "", errors.New("no Content-Length")
	}
	raw := make([]byte, length)
	if _, err = io.ReadFull(c.in, raw); err == nil && status == 503 && !again {
		err = errors.New("a 503 without Retry-After")
	}
	return status, string(raw), err
}

func (c *leanConn) close() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

var webCredentials = base64.StdEncoding.EncodeToString([]byte("web:web-secret-long"))

// member returns a text member of a flat JSON object, without decoding it.
func member(body, name string) string {
	_, rest, _ := strings.Cut(body, `"`+name+`":"`)
	value, _, _ := strings.Cut(rest, `"`)
	return value
}

// caller is one client in a closed loop: it sends the next request when the last one is answered.
type caller struct {
	leanConn
	access, refresh string
	turn            int
	user            int // who logs in next; 0: one who has not yet
}

// newCallers opens n sessions. The users are few, so that their passwords are cached.
func newCallers(t *testing.T, address string, n int) []*caller {
	t.Helper()
	callers := make([]*caller, n)
	var next atomic.Int64
	var failed atomic.Bool
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				c := &caller{leanConn: leanConn{address: address}, turn: i}
				callers[i] = c
				for try := 0; c.refresh == "" && try < 50; try++ {
					status, body, err := c.form("/oauth2/token", loginForm(i%20))
					if c.access, c.refresh = member(body, "access_token"), member(body, "refresh_token"); status != 200 {
						if try == 49 {
							failed.Store(true)
							t.Errorf("login: %d %s %v", status, body, err)
						}
						time.Sleep(100 * time.Millisecond)
					}
				}
			}
		})
	}
	all.Wait()
	for _, c := range callers {
		c.close()
	}
	if failed.Load() {
		t.FailNow()
	}
	return callers
}

func loginForm(user int) string {
	return fmt.Sprintf("grant_type=password&username=user%04d&password=%s", user, url.QueryEscape(goodputPassword))
}

// send makes one request: "refresh", "introspect" or "login".
func (c *caller) send(kind string, freshUser *atomic.Int64) (status int, err error) {
	var body string
	switch kind {
	case "refresh":
		status, body, err = c.form("/oauth2/token", "grant_type=refresh_token&refresh_token="+c.refresh)
		if next := member(body, "refresh_token"); status == 200 && next != "" {
			c.access, c.refresh = member(body, "access_token"), next
		}
	case "introspect":
		status, body, err = c.form("/oauth2/introspect", "token="+c.access)
		if status == 200 && !strings.Contains(body, `"active":true`) {
			err = errors.New("a valid token is not active")
		}
	default:
		if c.user == 0 {
			c.user = 20 + int(freshUser.Add(1))%(goodputUsers-20)
		}
		if status, _, err = c.form("/oauth2/token", loginForm(c.user)); status == 200 {
			c.user = 0
		}
	}
	return status, err
}

// pick chooses the kind of the next request.
type pick func(turn int) string

func only(kind string) pick { return func(int) string { return kind } }

// mixed is 80 % refreshes, 10 % introspections and 10 % logins.
func mixed(turn int) string {
	switch turn % 10 {
	case 3:
		return "introspect"
	case 7:
		return "login"
	}
	return "refresh"
}

// outcome is what the callers of one row saw.
type outcome struct {
	callers   int
	took      time.Duration
	good, bad []time.Duration // how long answers 200 and 503 took
	kinds     map[string][]time.Duration
	others    int // neither, or an error
	example   string
}

func (o *outcome) rate() float64 { return float64(len(o.good)) / o.took.Seconds() }

func percentile(times []time.Duration, p float64) time.Duration {
	if len(times) == 0 {
		return 0
	}
	slices.Sort(times)
	return times[min(len(times)-1, int(float64(len(times))*p))].Round(100 * time.Microsecond)
}

// load runs the callers for a while. pause is how long each waits between two requests.
func load(callers []*caller, what pick, lasts, pause time.Duration, freshUser *atomic.Int64) *outcome {
	total := &outcome{callers: len(callers), kinds: map[string][]time.Duration{}}
	var mutex sync.Mutex
	var all sync.WaitGroup
	begun := time.Now()
	for _, c := range callers {
		all.Go(func() {
			var own outcome
			own.kinds = map[string][]time.Duration{}
			for time.Since(begun) < lasts {
				kind := what(c.turn)
				c.turn++
				sent := time.Now()
				status, err := c.send(kind, freshUser)
				took := time.Since(sent)
				switch {
				case err == nil && status == 200:
					own.good = append(own.good, took)
					own.kinds[kind] = append(own.kinds[kind], took)
				case err == nil && status == 503:
					own.bad = append(own.bad, took)
				default:
					own.others++
					own.example = fmt.Sprint(kind, ": ", status, " ", err)
				}
				time.Sleep(pause)
			}
			c.close() // the server closes it when it is not used for long
			mutex.Lock()
			defer mutex.Unlock()
			total.good, total.bad = append(total.good, own.good...), append(total.bad, own.bad...)
			for kind, times := range own.kinds {
				total.kinds[kind] = append(total.kinds[kind], times...)
			}
			if total.others += own.others; own.example != "" {
				total.example = own.example
			}
		})
	}
	all.Wait()
	total.took = time.Since(begun)
	return total
}
