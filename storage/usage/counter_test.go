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
	uses, err := c.Report(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return uses
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
					one.Count(APIOperations, "operations", "alice", "old/1.0")
				}
			})
		}
		all.Wait()
		two.Count(APIOperations, "operations", "alice", "old/1.0")
		two.Count(APIOperations, "operations", `b"ob `+"\x00\n", "")
		one.Count(APIOAuth, "demo", "alice", strings.Repeat("é", 500))
		flush(t, two)
		flush(t, one)
		flush(t, one)
		want := []Entry{
			{APIOperations, "operations", "alice", "old/1.0", 101, begin, begin.Add(time.Hour)},
			{APIOperations, "operations", `b"ob ` + "\x00\n", "", 1, begin.Add(time.Hour), begin.Add(time.Hour)},
			{APIOAuth, "demo", "alice", strings.Repeat("é", 100), 1, begin, begin},
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
		c.Count(APIOperations, "operations", "gone", "")
		c.Count(APIOperations, "operations", "still there", "")
		flush(t, c)
		later := testCounter(t, r, begin.Add(89*24*time.Hour))
		later.Count(APIOperations, "operations", "still there", "")
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

func TestCounterIsBounded(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		c := testCounter(t, r, time.Now())
		const n = maxFields + 3000
		for i := range n {
			c.Count(APIOperations, "operations", fmt.Sprint("user", i), "agent")
			if i%4000 == 3999 {
				flush(t, c)
			}
		}
		flush(t, c)
		fields := c.db.Client.HLen(t.Context(), c.db.Keys.Usage()).Val()
		if fields > maxFields+1 {
			t.Errorf("%d fields", fields)
		}
		var sum, others int64
		for _, u := range report(t, c) {
			sum += u.Count
			if u.User == anybody {
				others = u.Count
			}
		}
		if sum != n || others != n-maxFields {
			t.Errorf("%d uses, %d of them of others, want %d and %d", sum, others, n, n-maxFields)
		}
	})
}

func TestCounterIsBoundedInMemory(t *testing.T) {
	c := testCounter(t, storagetest.StartMiniredis(t), time.Now())
	const n = maxPending + 1000
	for i := range n {
		c.Count(APIOperations, "operations", fmt.Sprint("user", i), "agent")
	}
	if got := len(c.pending); got != maxPending+1 {
		t.Errorf("%d in memory", got)
	}
	if others := c.pending[field(APIOperations, "operations", anybody, anybody)]; others == nil || others.count != n-maxPending {
		t.Errorf("others: %+v", others)
	}
}

func TestCounterKeepsWhatDidNotArrive(t *testing.T) {
	r := storagetest.StartMiniredis(t)
	c := testCounter(t, r, time.Now())
	for i := range 3 * chunkSize {
		c.Count(APIOperations, "operations", fmt.Sprint(i), "")
	}
	r.Mini.SetError("LOADING")
	if err := c.Flush(t.Context()); !errors.Is(err, fosite.ErrTemporarilyUnavailable) {
		t.Errorf("flush: %v", err)
	}
	if _, err := c.Report(t.Context()); !errors.Is(err, fosite.ErrTemporarilyUnavailable) {
		t.Errorf("report: %v", err)
	}
	c.Count(APIOperations, "operations", "0", "")
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

// The first release stored the APIs under other names.
func TestReportTakesOldNamesTogetherWithNewOnes(t *testing.T) {
	begin := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	c := testCounter(t, storagetest.StartMiniredis(t), begin)
	c.Count("legacy", "operations", "alice", "old/1.0")
	c.Count("legacy", "operations", "bob", "old/1.0")
	c.Count("standard", "demo", "alice", "")
	flush(t, c)
	later := begin.Add(time.Hour)
	c.now = func() time.Time { return later }
	c.Count(APIOperations, "operations", "alice", "old/1.0")
	flush(t, c)
	want := []Entry{
		{APIOperations, "operations", "alice", "old/1.0", 2, begin, later},
		{APIOperations, "operations", "bob", "old/1.0", 1, begin, begin},
		{APIOAuth, "demo", "alice", "", 1, begin, begin},
	}
	if diff := cmp.Diff(want, report(t, c)); diff != "" {
		t.Error(diff)
	}
}
