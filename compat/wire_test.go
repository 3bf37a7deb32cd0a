package compat_test

import (
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opgrant/opgrant/compat/wiretest"
)

// recorded returns the exchanges that were recorded.
func recorded(tb testing.TB) []wiretest.Case {
	tb.Helper()
	f, err := os.Open("testdata/wire-cases.json")
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	cases, err := wiretest.Load(f)
	if err != nil {
		tb.Fatal(err)
	}
	return cases
}

func TestRecordedExchanges(t *testing.T) {
	wiretest.Run(t, recorded(t), func(t *testing.T, short bool) string {
		d := newDirectory(t)
		if short {
			d.access, d.refresh = 3*time.Second, 5*time.Second
		}
		s := httptest.NewServer(d.handler(t, nil))
		t.Cleanup(s.Close)
		return s.Listener.Addr().String()
	}, nil)
}

// The manual and the replay name the same differences, each of which is there.
func TestDifferencesAreDocumented(t *testing.T) {
	manual, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(manual), "# Differences on purpose")
	_, table, _ = strings.Cut(table, "recorded                          ours")
	table, _, _ = strings.Cut(table, "Not a difference")
	var ours strings.Builder
	for line := range strings.Lines(table) {
		if len(line) > 37 {
			ours.WriteString(strings.TrimSpace(line[37:min(len(line), 81)]) + " ")
		}
	}
	for _, d := range wiretest.Differences {
		if !strings.Contains(ours.String(), d.Why) {
			t.Errorf("the manual does not say: %s", d.Why)
		}
		for _, name := range d.Cases {
			found := slices.ContainsFunc(recorded(t), func(c wiretest.Case) bool {
				prefix, wild := strings.CutSuffix(name, "*")
				return c.Name == name || wild && strings.HasPrefix(c.Name, prefix)
			})
			if !found {
				t.Errorf("no exchange is called %s", name)
			}
		}
	}
}
