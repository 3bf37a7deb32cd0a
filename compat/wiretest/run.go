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

// Server starts a fresh server with the user HDB_ADMIN, password "password", and returns its address. With short set,
// operation tokens live 3 s and refresh tokens 5 s; otherwise a day and thirty days. A user has one live refresh token.
type Server func(t *testing.T, short bool) (addr string)

// Tally counts the exchanges of one group.
type Tally struct {
	Equal, OnPurpose, Different int
}

// Run replays all cases, prints the counts by group, and fails t for each exchange that differs and for each difference on
// purpose that is none any more. publicKey is the PEM of the key that signs, or nil.
func Run(t *testing.T, cases []Case, start Server, publicKey []byte) map[string]Tally {
	t.Helper()
	tallies := map[string]Tally{}
	addresses := map[bool]string{}
	values := map[string]string{"BASIC_ADMIN": "Basic " + base64.StdEncoding.EncodeToString([]byte("HDB_ADMIN:password"))}
	var last http.Header
	for _, c := range cases {
		short := c.Sequence == 5
		if addresses[short] == "" {
			addresses[short] = start(t, short)
			if short {
				// Lives count from the whole second, and the recorded waits leave less than one to spare.
				time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second)))
			}
		}
		prepare(t, c, values, last, publicKey)
		fill := func(s string) string {
			return variable.ReplaceAllStringFunc(s, func(v string) string {
				if known, ok := values[v[2:len(v)-1]]; ok {
					return known
				}
				return "missing"
			})
		}
		got, err := send(addresses[short], c, fill)
		if err != nil {
			t.Errorf("%s: %v", c.Name, err)
			continue
		}
		last = got.header
		capture(c, got, values)
		tally := tallies[c.Group]
		judge(t, c, got, &tally)
		tallies[c.Group] = tally
	}
	report(t, tallies)
	return tallies
}

var variable = regexp.MustCompile(`\$\{\w+\}`)

func prepare(t *testing.T, c Case, values map[string]string, last http.Header, publicKey []byte) {
	t.Helper()
	for _, s := range c.Before {
		how, isTamper := strings.CutPrefix(s.Derive, "tamper:")
		switch {
		case s.Sleep > 0:
			time.Sleep(time.Duration(s.Sleep * float64(time.Second)))
		case s.Derive == "copy":
			values[s.Var] = values[s.From]
		case isTamper:
			token, err := tamper(values[s.From], how, publicKey)
			if err != nil {
				t.Errorf("%s: %v", c.Name, err)
			}
			values[s.Var] = token
		case strings.HasPrefix(s.Derive, "set-cookie"):
			cookie, _, _ := strings.Cut(last.Get("Set-Cookie"), ";")
			values[s.Var] = cookie
		}
	}
}

func capture(c Case, got answer, values map[string]string) {
	var members map[string]any
	if json.Unmarshal(got.body, &members) != nil {
		return
	}
	for name, key := range c.Capture {
		if v, ok := members[key].(string); ok {
			values[name] = v
		}
	}
}

// judge puts one exchange into one of the three classes.
func judge(t *testing.T, c Case, got answer, tally *Tally) {
	t.Helper()
	diffs := compare(c, got)
	purpose, named := find(c.Name)
	switch {
	case named && len(diffs) == 0:
		tally.Equal++
		t.Errorf("%s: equal, though said to differ: %s", c.Name, purpose.Why)
	case named && purpose.meets(got):
		tally.OnPurpose++
	case named:
		tally.Different++
		t.Errorf("%s: differs on purpose (%s), but not as said: %d %.200s", c.Name, purpose.Why, got.status, scrub(got.body))
	case len(diffs) == 0:
		tally.Equal++
	default:
		tally.Different++
		t.Errorf("%s: %s", c.Name, strings.Join(diffs, "; "))
	}
}

func report(t *testing.T, tallies map[string]Tally) {
	t.Helper()
	var total Tally
	for _, group := range slices.Sorted(maps.Keys(tallies)) {
		g := tallies[group]
		t.Logf("%-12s %3d equal, %3d on purpose, %3d different", group, g.Equal, g.OnPurpose, g.Different)
		total.Equal, total.OnPurpose, total.Different = total.Equal+g.Equal, total.OnPurpose+g.OnPurpose, total.Different+g.Different
	}
	t.Logf("%-12s %3d equal, %3d on purpose, %3d different", "together", total.Equal, total.OnPurpose, total.Different)
}
