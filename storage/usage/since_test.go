package usage

import (
	"testing"
	"time"

	"github.com/opgrant/opgrant/storage/storagetest"
)

// watched returns since when and until when the operations API was counted.
func watched(t *testing.T, c *Counter) (since, until time.Time) {
	t.Helper()
	counted, err := c.Report(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return counted.Since, counted.Until
}

// The first server that serves the operations API says since when its calls are counted. A restart, a second server and calls do
// not change it; a day without any server does, and so does the loss of the counts.
func TestSinceWhenCallsAreCounted(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		begin := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
		other := testCounter(t, r, begin.Add(-time.Hour))
		other.Count(Caller{API: APIOAuth, Client: "demo", User: "alice"})
		flush(t, other)
		if since, until := watched(t, other); !since.IsZero() || !until.IsZero() {
			t.Errorf("counted by a server without the operations API: since %s until %s", since, until)
		}
		// run is a server that runs from one time to another.
		run := func(from, until time.Duration) *Counter {
			c := testCounter(t, r, begin.Add(from))
			c.CountsOperations()
			flush(t, c)
			c.now = func() time.Time { return begin.Add(until) }
			c.Count(old("alice", ""))
			flush(t, c)
			return c
		}
		for _, test := range []struct {
			name         string
			from, to     time.Duration
			since, until time.Duration
			lost         bool
		}{
			{name: "the first server", from: 0, to: time.Hour, since: 0, until: time.Hour},
			{name: "a server whose clock is behind", from: -time.Hour, to: time.Minute, since: 0, until: time.Hour},
			{name: "a restart within a day", from: 24 * time.Hour, to: 48 * time.Hour, since: 0, until: 48 * time.Hour},
			{name: "a restart after a day", from: 73 * time.Hour, to: 74 * time.Hour, since: 73 * time.Hour, until: 74 * time.Hour},
			{name: "lost counts", lost: true, from: 75 * time.Hour, to: 76 * time.Hour, since: 75 * time.Hour, until: 76 * time.Hour},
		} {
			if test.lost {
				if err := r.Client(t).Del(t.Context(), other.db.Keys.Usage()).Err(); err != nil {
					t.Fatal(err)
				}
			}
			since, until := watched(t, run(test.from, test.to))
			if !since.Equal(begin.Add(test.since)) || !until.Equal(begin.Add(test.until)) {
				t.Errorf("%s: since %s until %s, want %s and %s", test.name, since, until, begin.Add(test.since), begin.Add(test.until))
			}
		}
	})
}

// A server that nobody calls writes one mark a minute, and one that counts no operations writes nothing.
func TestIdleServersHardlyWrite(t *testing.T) {
	r := storagetest.StartMiniredis(t)
	begin := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	now := begin
	c, other := testCounter(t, r, begin), testCounter(t, r, begin)
	c.now = func() time.Time { return now }
	c.CountsOperations()
	flush(t, other)
	if n := c.db.Client.Exists(t.Context(), c.db.Keys.Usage()).Val(); n != 0 {
		t.Error("a server without the operations API has written")
	}
	for i, want := range []time.Duration{0, 0, 0, time.Minute, time.Minute} {
		now = begin.Add(time.Duration(i) * 20 * time.Second)
		flush(t, c)
		if _, until := watched(t, c); !until.Equal(begin.Add(want)) {
			t.Errorf("after %s: until %s, want %s", now.Sub(begin), until, begin.Add(want))
		}
	}
}
