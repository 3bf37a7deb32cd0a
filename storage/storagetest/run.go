package storagetest

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ory/fosite"
)

// Run tests the stores that h makes. Each test gets a store of its own.
func Run(t *testing.T, h Harness) {
	t.Helper()
	if h.New == nil {
		t.Fatal("storagetest: Harness.New is nil")
	}
	names := Names()
	for _, listed := range []map[string]string{h.KnownDeviations, h.Skip} {
		for name := range listed {
			isGroup := slices.ContainsFunc(groups, func(g group) bool { return g.name == name })
			if !slices.Contains(names, name) && !isGroup {
				t.Errorf("the harness lists %q, which is not a test of this suite", name)
			}
		}
	}
	for _, g := range groups {
		t.Run(g.name, func(t *testing.T) {
			if reason, ok := h.Skip[g.name]; ok {
				t.Skip(reason)
			}
			// Tests that mostly wait run at the same time. With t.Parallel no more of them would wait at once than there are
			// processors.
			if g.waits || h.Grace > 0 {
				h.runTogether(t, g)
				return
			}
			for _, tc := range g.cases {
				t.Run(tc.name, func(t *testing.T) {
					name := g.name + "/" + tc.name
					if reason, ok := h.Skip[name]; ok {
						t.Skip(reason)
					}
					c := h.prepare(t)
					c.execute(tc.test)
					c.report(t, name)
				})
			}
		})
	}
}

func (h Harness) runTogether(t *testing.T, g group) {
	t.Helper()
	checks := make([]*check, len(g.cases))
	var all sync.WaitGroup
	for i, tc := range g.cases {
		if _, ok := h.Skip[g.name+"/"+tc.name]; ok {
			continue
		}
		c := h.prepare(t)
		checks[i] = c
		all.Go(func() { c.execute(tc.test) })
	}
	all.Wait()
	for i, tc := range g.cases {
		t.Run(tc.name, func(t *testing.T) {
			name := g.name + "/" + tc.name
			if checks[i] == nil {
				t.Skip(h.Skip[name])
			}
			checks[i].report(t, name)
		})
	}
}

// Names lists the tests of the suite, as KnownDeviations and Skip name them.
func Names() []string {
	var names []string
	for _, g := range groups {
		for _, c := range g.cases {
			names = append(names, g.name+"/"+c.name)
		}
	}
	return names
}

type group struct {
	name  string
	waits bool // for time to pass
	cases []testCase
}

type testCase struct {
	name string
	test func(c *check)
}

var groups = []group{
	{name: "access", cases: accessCases},
	{name: "refresh", cases: refreshCases},
	{name: "revocation", cases: revocationCases},
	{name: "handler", cases: handlerCases},
	{name: "transaction", cases: transactionCases},
	{name: "concurrency", cases: concurrencyCases},
	{name: "codes", cases: codeCases},
	{name: "code handler", cases: codeHandlerCases},
	{name: "code transaction", cases: codeTransactionCases},
	{name: "code concurrency", cases: codeConcurrencyCases},
	{name: "pkce", cases: pkceCases},
	{name: "openid", cases: openIDCases},
	{name: "par", cases: parCases},
	{name: "assertion keys", cases: assertionKeyCases},
	{name: "nonces", cases: nonceCases},
	{name: "clients", cases: clientCases},
	{name: "users", cases: userCases},
	{name: "replay", waits: true, cases: replayCases},
	{name: "expiry", waits: true, cases: slices.Concat(expiryCases, codeExpiryCases)},
	{name: "outage", waits: true, cases: slices.Concat(outageCases, codeOutageCases)},
}

// check is one run of one test. It collects failures, so that a known deviation can fail without failing the test.
type check struct {
	Harness
	Fixture
	ctx    context.Context
	client fosite.Client

	mu       sync.Mutex
	failures []string
	skipped  string
}

func (h Harness) prepare(t *testing.T) *check {
	t.Helper()
	return &check{Harness: h.withDefaults(), Fixture: h.New(t), ctx: t.Context()}
}

// execute runs the test in a separate goroutine, which fatalf and skip can end.
func (c *check) execute(test func(*check)) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if r := recover(); r != nil {
				c.errorf("panic: %v\n%s", r, debug.Stack())
			}
		}()
		c.addClient(clientID)
		test(c)
	}()
	<-done
}

func (c *check) report(t *testing.T, name string) {
	t.Helper()
	reason, known := c.KnownDeviations[name]
	switch {
	case len(c.failures) == 0 && known && c.skipped != "":
		t.Errorf("listed as a known deviation (%s), but it does not run here: %s", reason, c.skipped)
	case len(c.failures) == 0 && known:
		t.Errorf("listed as a known deviation (%s), but the store passes: remove it from the list", reason)
	case known:
		t.Skipf("known deviation: %s\nobserved: %s", reason, strings.Join(c.failures, "\n"))
	case len(c.failures) > 0:
		for _, f := range c.failures {
			t.Error(f)
		}
	case c.skipped != "":
		t.Skip(c.skipped)
	}
}

func (c *check) errorf(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failures = append(c.failures, fmt.Sprintf(format, args...))
}

// fatalf ends the test. Only the goroutine of the test may call it.
func (c *check) fatalf(format string, args ...any) {
	c.errorf(format, args...)
	runtime.Goexit()
}

func (c *check) skip(reason string) {
	c.skipped = reason
	runtime.Goexit()
}

func (c *check) must(err error, what string) {
	if err != nil {
		c.fatalf("%s: %v", what, err)
	}
}
