package wiretest

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// Server is the server under test.
type Server struct {
	// Start starts a fresh server with the user HDB_ADMIN, password "password", and returns its address. If short is set,
	// operation tokens expire after 3 s and refresh tokens after 5 s, otherwise after a day and thirty days. A user has one
	// valid refresh token at a time.
	Start func(t *testing.T, short bool) (addr string)
	// Clock is the clock of the server. Default: that of the machine, so that the replay takes some ten seconds.
	Clock Clock
	// PublicKey is the PEM of the key that signs the tokens. A server that confuses algorithms would take it for an HMAC key.
	PublicKey []byte
}

// Clock tells the time, and lets it pass.
type Clock interface {
	Now() time.Time
	Sleep(d time.Duration)
}

type realClock struct{}

func (realClock) Now() time.Time { return time.Now() }

func (realClock) Sleep(d time.Duration) { time.Sleep(d) }

// replay is the state of one run.
type replay struct {
	server    Server
	addresses map[bool]string   // :: short → address
	values    map[string]string // :: variable → value
	last      http.Header       // of the answer before
	counts    map[string]*count // :: group → counts
}

type count struct{ equal, intended, different int }

// Run replays all cases and logs the counts by group. It fails t for each exchange that differs in a way that is not in
// Differences, and for each difference there that does not occur.
func Run(t *testing.T, cases []Case, server Server) {
	t.Helper()
	if server.Clock == nil {
		server.Clock = realClock{}
	}
	r := &replay{
		server:    server,
		addresses: map[bool]string{},
		values:    map[string]string{"BASIC_ADMIN": "Basic " + base64.StdEncoding.EncodeToString([]byte("HDB_ADMIN:password"))},
		counts:    map[string]*count{},
	}
	for _, c := range cases {
		r.run(t, c)
	}
	r.logCounts(t)
}

// run makes one exchange and compares it with the recorded one.
func (r *replay) run(t *testing.T, c Case) {
	t.Helper()
	address := r.address(t, c)
	r.prepare(t, c)
	got, err := send(address, c, r.fill)
	if err != nil {
		t.Errorf("%s: %v", c.Name, err)
		return
	}
	r.last = got.header
	r.capture(c, got)
	r.compare(t, c, got)
}

// address returns the server for a case, and starts it for the first one.
func (r *replay) address(t *testing.T, c Case) string {
	t.Helper()
	short := c.Sequence == 5
	if r.addresses[short] == "" {
		r.addresses[short] = r.server.Start(t, short)
		if short {
			// Tokens expire at whole seconds, and the recorded waits have less than a second to spare.
			now := r.server.Clock.Now()
			r.server.Clock.Sleep(now.Truncate(time.Second).Add(time.Second).Sub(now))
		}
	}
	return r.addresses[short]
}

// prepare takes the steps before an exchange.
func (r *replay) prepare(t *testing.T, c Case) {
	t.Helper()
	for _, s := range c.Before {
		how, isTamper := strings.CutPrefix(s.Derive, "tamper:")
		switch {
		case s.Sleep > 0:
			r.server.Clock.Sleep(time.Duration(s.Sleep * float64(time.Second)))
		case s.Derive == "copy":
			r.values[s.Var] = r.values[s.From]
		case isTamper:
			token, err := tamper(r.values[s.From], how, r.server.PublicKey)
			if err != nil {
				t.Errorf("%s: %v", c.Name, err)
			}
			r.values[s.Var] = token
		case strings.HasPrefix(s.Derive, "set-cookie"):
			cookie, _, _ := strings.Cut(r.last.Get("Set-Cookie"), ";")
			r.values[s.Var] = cookie
		}
	}
}

var variable = regexp.MustCompile(`\$\{\w+\}`)

// fill replaces the variables in a recorded header or body.
func (r *replay) fill(s string) string {
	return variable.ReplaceAllStringFunc(s, func(v string) string {
		if value, ok := r.values[v[2:len(v)-1]]; ok {
			return value
		}
		return "missing"
	})
}

// capture keeps the members of an answer that later exchanges use.
func (r *replay) capture(c Case, got answer) {
	var members map[string]any
	if json.Unmarshal(got.body, &members) != nil {
		return
	}
	for name, key := range c.Capture {
		if v, ok := members[key].(string); ok {
			r.values[name] = v
		}
	}
}

// compare counts an exchange as equal, intended or different.
func (r *replay) compare(t *testing.T, c Case, got answer) {
	t.Helper()
	n := r.counts[c.Group]
	if n == nil {
		n = &count{}
		r.counts[c.Group] = n
	}
	diffs := compare(c, got)
	difference, listed := find(c.Name)
	switch {
	case listed && len(diffs) == 0:
		n.equal++
		t.Errorf("%s: equal, but listed as a difference: %s", c.Name, difference.Row)
	case listed && difference.matches(c, got):
		n.intended++
		r.server.Clock.Sleep(difference.Wait)
	case listed:
		n.different++
		t.Errorf("%s: differs, but not as listed (%s): %d %.200s", c.Name, difference.Row, got.status, Scrub(string(got.body)))
	case len(diffs) == 0:
		n.equal++
	default:
		n.different++
		t.Errorf("%s: %s", c.Name, strings.Join(diffs, "; "))
	}
}

func (r *replay) logCounts(t *testing.T) {
	t.Helper()
	var total count
	for _, group := range slices.Sorted(maps.Keys(r.counts)) {
		n := r.counts[group]
		t.Logf("%-12s %3d equal, %3d intended differences, %3d other differences", group, n.equal, n.intended, n.different)
		total.equal, total.intended, total.different = total.equal+n.equal, total.intended+n.intended, total.different+n.different
	}
	t.Logf("%-12s %3d equal, %3d intended differences, %3d other differences", "total", total.equal, total.intended, total.different)
}
