package storage

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

	"github.com/opgrant/opgrant/storage/storagetest"
)

func testMeter(t *testing.T, r *storagetest.Instance, at time.Time) *Meter {
	t.Helper()
	s, err := New(r.Client(t), Options{Timeout: hang})
	if err != nil {
		t.Fatal(err)
	}
	m := s.NewMeter()
	m.now = func() time.Time { return at }
	return m
}

func report(t *testing.T, m *Meter) []Usage {
	t.Helper()
	uses, err := m.Report(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return uses
}

func flush(t *testing.T, m *Meter) {
	t.Helper()
	if err := m.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestMetersOfAllServersAddUp(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		begin := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
		one, two := testMeter(t, r, begin), testMeter(t, r, begin.Add(time.Hour))
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
		want := []Usage{
			{APIOperations, "operations", "alice", "old/1.0", 101, begin, begin.Add(time.Hour)},
			{APIOperations, "operations", `b"ob ` + "\x00\n", "", 1, begin.Add(time.Hour), begin.Add(time.Hour)},
			{APIOAuth, "demo", "alice", strings.Repeat("é", 100), 1, begin, begin},
		}
		if diff := cmp.Diff(want, report(t, one)); diff != "" {
			t.Error(diff)
		}
		ttl, err := one.db.rdb.TTL(t.Context(), one.db.keys.meter()).Result()
		if err != nil || ttl < 179*24*time.Hour || ttl > meterLife {
			t.Errorf("expires in %v, %v", ttl, err)
		}
	})
}

func TestMeterForgetsWhatNobodyUses(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		begin := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
		m := testMeter(t, r, begin)
		m.Count(APIOperations, "operations", "gone", "")
		m.Count(APIOperations, "operations", "still there", "")
		flush(t, m)
		later := testMeter(t, r, begin.Add(89*24*time.Hour))
		later.Count(APIOperations, "operations", "still there", "")
		flush(t, later)
		if got := report(t, later); len(got) != 2 {
			t.Errorf("after 89 days: %v", got)
		}
		last := testMeter(t, r, begin.Add(91*24*time.Hour))
		got := report(t, last)
		if len(got) != 1 || got[0].User != "still there" || got[0].Count != 2 {
			t.Errorf("after 91 days: %v", got)
		}
		if n := last.db.rdb.HLen(t.Context(), last.db.keys.meter()).Val(); n != 1 {
			t.Errorf("%d fields are left", n)
		}
	})
}

func TestMeterIsBounded(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		m := testMeter(t, r, time.Now())
		const n = maxUses + 3000
		for i := range n {
			m.Count(APIOperations, "operations", fmt.Sprint("user", i), "agent")
			if i%4000 == 3999 {
				flush(t, m)
			}
		}
		flush(t, m)
		fields := m.db.rdb.HLen(t.Context(), m.db.keys.meter()).Val()
		if fields > maxUses+1 {
			t.Errorf("%d fields", fields)
		}
		var sum, others int64
		for _, u := range report(t, m) {
			sum += u.Count
			if u.User == anybody {
				others = u.Count
			}
		}
		if sum != n || others != n-maxUses {
			t.Errorf("%d uses, %d of them of others, want %d and %d", sum, others, n, n-maxUses)
		}
	})
}

func TestMeterIsBoundedInMemory(t *testing.T) {
	m := testMeter(t, storagetest.StartMiniredis(t), time.Now())
	const n = maxPending + 1000
	for i := range n {
		m.Count(APIOperations, "operations", fmt.Sprint("user", i), "agent")
	}
	if got := len(m.pending); got != maxPending+1 {
		t.Errorf("%d in memory", got)
	}
	if others := m.pending[useField(APIOperations, "operations", anybody, anybody)]; others == nil || others.count != n-maxPending {
		t.Errorf("others: %+v", others)
	}
}

func TestMeterKeepsWhatDidNotArrive(t *testing.T) {
	r := storagetest.StartMiniredis(t)
	m := testMeter(t, r, time.Now())
	for i := range 3 * useChunk {
		m.Count(APIOperations, "operations", fmt.Sprint(i), "")
	}
	r.Mini.SetError("LOADING")
	wantErr(t, "flush", m.Flush(t.Context()), fosite.ErrTemporarilyUnavailable)
	_, err := m.Report(t.Context())
	wantErr(t, "report", err, fosite.ErrTemporarilyUnavailable)
	m.Count(APIOperations, "operations", "0", "")
	r.Mini.SetError("")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := m.Run(ctx); err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err) // Run flushes when it ends
	}
	var sum int64
	for _, u := range report(t, m) {
		sum += u.Count
	}
	if sum != 3*useChunk+1 {
		t.Errorf("%d uses", sum)
	}
}
