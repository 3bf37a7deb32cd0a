package compat_test

import (
	"crypto/x509"
	"encoding/pem"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opgrant/opgrant/compat/wiretest"
)

// recorded returns the recorded exchanges.
func recorded(tb testing.TB) []wiretest.Case {
	tb.Helper()
	cases := wiretest.LoadFile(tb, "testdata/wire-cases.json")
	return cases
}

// testClock is a clock that jumps ahead instead of waiting.
type testClock struct{ ahead atomic.Int64 }

func (c *testClock) Now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

func (c *testClock) Sleep(d time.Duration) { c.ahead.Add(int64(d)) }

func TestRecordedExchanges(t *testing.T) {
	clock := &testClock{}
	publicKey, err := x509.MarshalPKIXPublicKey(&signingKey().PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	wiretest.Run(t, recorded(t), wiretest.Server{
		Start: func(t *testing.T, short bool) string {
			d := newDirectory(t)
			d.now = clock.Now
			if short {
				d.accessTTL, d.refreshTTL = 3*time.Second, 5*time.Second
			}
			s := httptest.NewServer(d.handler(t, nil))
			t.Cleanup(s.Close)
			return s.Listener.Addr().String()
		},
		Clock:     clock,
		PublicKey: pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: publicKey}),
	})
}

// TestDifferencesAreDocumented compares wiretest.Differences with the table in the package documentation and with the recording.
func TestDifferencesAreDocumented(t *testing.T) {
	documentation, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(documentation), "# Intended differences")
	table = table[strings.Index(table, "//\trecorded"):]
	header, table, _ := strings.Cut(table, "\n")
	start, end := strings.Index(header, "this package"), strings.Index(header, "reason")
	var rows strings.Builder
	for line := range strings.Lines(table) {
		if !strings.HasPrefix(line, "//\t") {
			break
		}
		if len(line) > start {
			rows.WriteString(strings.TrimSpace(line[start:min(len(line), end)]) + " ")
		}
	}
	text := strings.Join(strings.Fields(rows.String()), " ")
	cases := recorded(t)
	for _, d := range wiretest.Differences {
		if !strings.Contains(text, d.Row) {
			t.Errorf("not in the documentation: %s", d.Row)
		}
		for _, name := range d.Cases {
			found := slices.ContainsFunc(cases, func(c wiretest.Case) bool {
				prefix, wildcard := strings.CutSuffix(name, "*")
				return c.Name == name || wildcard && strings.HasPrefix(c.Name, prefix)
			})
			if !found {
				t.Errorf("not in the recording: %s", name)
			}
		}
	}
}
