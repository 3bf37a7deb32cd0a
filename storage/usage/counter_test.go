package usage

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
	"github.com/opgrant/opgrant/storage/storagetest"
)

func testCounter(t *testing.T, r *storagetest.Instance, at time.Time) *Counter {
	t.Helper()
	db, err := redisdb.New(redisdb.Config{Client: r.Client(t), Prefix: "opgrant:", Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	c := New(db)
	c.now = func() time.Time { return at }
	return c
}

func report(t *testing.T, c *Counter) []Entry {
	t.Helper()
	counted, err := c.Report(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return counted.Entries
}

// old is a caller of the operations API.
func old(user, userAgent string) Caller {
	return Caller{API: APIOperations, Client: "operations", User: user, UserAgent: userAgent, Address: "192.0.2.1"}
}

func flush(t *testing.T, c *Counter) {
	t.Helper()
	if err := c.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestCountersOfAllServersAddUp(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		begin := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
		one, two := testCounter(t, r, begin), testCounter(t, r, begin.Add(time.Hour))
		if got := report(t, one); len(got) != 0 {
			t.Errorf("before: %v", got)
		}
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				for range 10 {
					one.Count(old("alice", "old/1.0"))
				}
			})
		}
		all.Wait()
		two.Count(old("alice", "old/1.0"))
		two.Count(old(`b"ob `+"\x00\n", ""))
		one.Count(Caller{API: APIOAuth, Client: "demo", User: "alice", UserAgent: strings.Repeat("é", 500)})
		flush(t, two)
		flush(t, one)
		flush(t, one)
		want := []Entry{
			{old("alice", "old/1.0"), 101, begin, begin.Add(time.Hour)},
			{old(`b"ob `+"\x00\n", ""), 1, begin.Add(time.Hour), begin.Add(time.Hour)},
			{Caller{API: APIOAuth, Client: "demo", User: "alice", UserAgent: strings.Repeat("é", 100)}, 1, begin, begin},
		}
		if diff := cmp.Diff(want, report(t, one)); diff != "" {
			t.Error(diff)
		}
		left, err := one.db.Client.TTL(t.Context(), one.db.Keys.Usage()).Result()
		if err != nil || left < 179*24*time.Hour || left > ttl {
			t.Errorf("expires in %v, %v", left, err)
		}
	})
}

func TestCounterForgetsWhatNobodyUses(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		begin := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
		c := testCounter(t, r, begin)
		c.Count(old("gone", ""))
		c.Count(old("still there", ""))
		flush(t, c)
		later := testCounter(t, r, begin.Add(89*24*time.Hour))
		later.Count(old("still there", ""))
		flush(t, later)
		if got := report(t, later); len(got) != 2 {
			t.Errorf("after 89 days: %v", got)
		}
		last := testCounter(t, r, begin.Add(91*24*time.Hour))
		got := report(t, last)
		if len(got) != 1 || got[0].User != "still there" || got[0].Count != 2 {
			t.Errorf("after 91 days: %v", got)
		}
		if n := last.db.Client.HLen(t.Context(), last.db.Keys.Usage()).Val(); n != 1 {
			t.Errorf("%d fields are left", n)
		}
	})
}

// Beyond a number of callers addresses are not told apart, beyond a larger one users are not, and no call is lost.
func TestCounterIsBounded(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		c := testCounter(t, r, time.Now())
		c.CountsOperations()
		const n = maxFields + 3000
		for i := range n {
			caller := old(fmt.Sprint("user", i), "agent")
			caller.Address = fmt.Sprint("192.0.2.", i%200)
			c.Count(caller)
			if i%2000 == 1999 {
				flush(t, c)
			}
		}
		flush(t, c)
		fields := c.db.Client.HLen(t.Context(), c.db.Keys.Usage()).Val()
		if fields > maxFields+1 {
			t.Errorf("%d fields", fields)
		}
		var sum, noAddress, others int64
		for _, u := range report(t, c) {
			sum += u.Count
			switch {
			case u.User == anybody:
				others = u.Count
			case u.Address == anybody:
				noAddress += u.Count
			}
		}
		const marks = 2 // since and until are fields, too
		if sum != n || others != n-maxFields+marks || noAddress != maxFields-maxDetailed {
			t.Errorf("%d uses, %d without an address and %d without a user, want %d, %d and %d",
				sum, noAddress, others, n, maxFields-maxDetailed, n-maxFields+marks)
		}
	})
}

func TestCounterIsBoundedInMemory(t *testing.T) {
	c := testCounter(t, storagetest.StartMiniredis(t), time.Now())
	const n = maxPending + 1000
	for i := range n {
		c.Count(old(fmt.Sprint("user", i), "agent"))
	}
	if got := len(c.pending); got != maxPending+1 {
		t.Errorf("%d in memory", got)
	}
	if others := c.pending[old("", "").anyUser()]; others == nil || others.count != n-maxPending {
		t.Errorf("others: %+v", others)
	}
	if got := c.pending[old("user3000", "agent").anywhere()]; got == nil || got.count != 1 {
		t.Errorf("a user beyond half of the bound: %+v", got)
	}
}

// While Redis takes no writes, what is kept for later does not grow.
func TestCounterIsBoundedInAnOutage(t *testing.T) {
	r := storagetest.StartMiniredis(t)
	c := testCounter(t, r, time.Now())
	flush(t, c)
	r.Mini.SetError("OOM")
	const rounds, n = 3, maxPending
	for round := range rounds {
		for i := range n {
			c.Count(old(fmt.Sprint("user", round, "-", i), "agent"))
		}
		if err := c.Flush(t.Context()); err == nil {
			t.Fatal("the write was accepted")
		}
	}
	var sum int64
	for _, kept := range c.pending {
		sum += kept.count
	}
	if len(c.pending) > maxPending+1 || sum != rounds*n {
		t.Errorf("%d callers with %d calls are kept, want at most %d with %d", len(c.pending), sum, maxPending+1, rounds*n)
	}
}

func TestCounterKeepsWhatDidNotArrive(t *testing.T) {
	r := storagetest.StartMiniredis(t)
	c := testCounter(t, r, time.Now())
	for i := range 3 * chunkSize {
		c.Count(old(fmt.Sprint(i), ""))
	}
	r.Mini.SetError("LOADING")
	if err := c.Flush(t.Context()); !errors.Is(err, fosite.ErrTemporarilyUnavailable) {
		t.Errorf("flush: %v", err)
	}
	if _, err := c.Report(t.Context()); !errors.Is(err, fosite.ErrTemporarilyUnavailable) {
		t.Errorf("report: %v", err)
	}
	c.Count(old("0", ""))
	r.Mini.SetError("")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Run(ctx); err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err) // Run flushes when it ends
	}
	var sum int64
	for _, u := range report(t, c) {
		sum += u.Count
	}
	if sum != 3*chunkSize+1 {
		t.Errorf("%d uses", sum)
	}
}

// Earlier releases stored no address, and the first one the APIs under other names.
func TestReportTakesOldFieldsAsTheyAre(t *testing.T) {
	begin := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	later := begin.Add(time.Hour)
	c := testCounter(t, storagetest.StartMiniredis(t), later)
	flush(t, c)
	numbers := func(at time.Time) string { return fmt.Sprintf("1 %d %d", at.UnixMilli(), at.UnixMilli()) }
	stored := map[string]string{
		`["legacy","operations","alice","old/1.0"]`:     numbers(begin),
		`["legacy","operations","bob","old/1.0"]`:       numbers(begin),
		`["operations","operations","alice","old/1.0"]`: numbers(later),
		`["standard","demo","alice",""]`:                numbers(begin),
	}
	if err := c.db.Client.HSet(t.Context(), c.db.Keys.Usage(), stored).Err(); err != nil {
		t.Fatal(err)
	}
	c.Count(old("alice", "old/1.0"))
	flush(t, c)
	unknown := func(user string) Caller {
		return Caller{API: APIOperations, Client: "operations", User: user, UserAgent: "old/1.0"}
	}
	want := []Entry{
		{unknown("alice"), 2, begin, later},
		{old("alice", "old/1.0"), 1, later, later},
		{unknown("bob"), 1, begin, begin},
		{Caller{API: APIOAuth, Client: "demo", User: "alice"}, 1, begin, begin},
	}
	if diff := cmp.Diff(want, report(t, c)); diff != "" {
		t.Error(diff)
	}
}
