package faults_test

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// A rotation takes as long, as many commands and as much memory after 10,000 rotations of a session as after none. The times are
// those of the server: the mean by INFO commandstats, and the median by SLOWLOG, which a busy machine does not move.
func TestRotationsStayFlat(t *testing.T) {
	srv := storagetest.StartRedis(t, storagetest.Options{Config: []string{"slowlog-log-slower-than 0", "slowlog-max-len 4096"}})
	admin, ctx := srv.Client(t), t.Context()
	none := storage.Duration(0)
	const sessions, calls = 400, 400
	s := nativeSessions(t, standalone(t, srv.Addr)(), sessions+1, &storage.Client{ID: "reporting", Public: true, Grants: []string{"password"}, Grace: &none})
	// From one goroutine, so that the times are not those of others.
	rotate := func(sessions, from, to int) {
		for i := range sessions {
			for number := from + 1; number <= to; number++ {
				if err := s.rotate(ctx, i, number); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for i := range sessions {
		if err := s.open(ctx, i); err != nil {
			t.Fatal(err)
		}
	}
	// One more session, so that Redis knows the script when the counting begins.
	if err := s.open(ctx, sessions); err != nil {
		t.Fatal(err)
	}
	if err := s.rotate(ctx, sessions, 1); err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	fmt.Fprintf(&table, "\n| rotations before | EVALSHA, median µs | mean µs | commands of a rotation | MEMORY USAGE of the record |\n|---|---|---|---|---|\n")
	var first rotationCost
	for _, at := range []struct{ rotations, before, sessions int }{{0, 0, 400}, {10, 1, 400}, {256, 11, 40}, {10_000, 266, 1}} {
		each := calls / at.sessions // rotations that are measured
		rotate(at.sessions, at.before, at.rotations)
		admin.SlowLogReset(ctx)
		before := commandStats(t, admin)
		rotate(at.sessions, at.rotations, at.rotations+each)
		c := commandStats(t, admin).since(before, calls)
		c.median = medianOfScript(t, admin)
		c.record = admin.MemoryUsage(ctx, recordKey(t, admin, s.ids[0])).Val()
		fmt.Fprintf(&table, "| %d | %d | %.1f | %s | %d |\n", at.rotations, c.median, c.usec, c.commands, c.record)
		if at.rotations == 0 {
			first = c
		}
		if c.commands != first.commands {
			t.Errorf("after %d rotations: %s, after none: %s", at.rotations, c.commands, first.commands)
		}
		if c.record > first.record+16 {
			t.Errorf("after %d rotations: a record of %d bytes, after none: %d", at.rotations, c.record, first.record)
		}
		if c.median > first.median*3/2+5 {
			t.Errorf("after %d rotations: %d µs, after none: %d", at.rotations, c.median, first.median)
		}
	}
	t.Log(table.String())
}

// The same of other layouts, for comparison: they send many commands, whose times are added.
func TestRotationsOfOtherLayouts(t *testing.T) {
	if !full() {
		t.Skip("set OPGRANT_TEST_FAULTS=full")
	}
	var table strings.Builder
	fmt.Fprintf(&table, "\n| layout | rotations before | commands, µs | commands of a rotation |\n|---|---|---|---|\n")
	for _, c := range memoryCases {
		if !c.compared {
			continue
		}
		srv := storagetest.StartRedis(t, storagetest.Options{})
		admin, ctx := srv.Client(t), t.Context()
		p := c.prepare(t, standalone(t, srv.Addr)(), 1)
		if err := p.open(ctx, 0); err != nil {
			t.Fatal(err)
		}
		done := 0
		for _, rotations := range []int{0, 256} {
			rotate := func(n int) {
				for range n {
					done++
					if err := p.rotate(ctx, 0, done); err != nil {
						t.Fatal(err)
					}
				}
			}
			rotate(rotations - done)
			before := commandStats(t, admin)
			rotate(200)
			cost := commandStats(t, admin).since(before, 200)
			fmt.Fprintf(&table, "| %s | %d | %.1f | %s |\n", c.name, rotations, cost.all, cost.commands)
		}
	}
	t.Log(table.String())
}

// rotationCost is what one rotation costs a Redis.
type rotationCost struct {
	median   int64   // of the script that changes the session, in microseconds
	usec     float64 // of the scripts, with the commands in them
	all      float64 // of the commands, without transactions and scripts
	commands string  // those that the script calls, how often each
	record   int64
}

// medianOfScript returns the median time of the script with the most keys since SLOWLOG RESET.
func medianOfScript(t *testing.T, c *redis.Client) int64 {
	t.Helper()
	entries, err := c.SlowLogGet(t.Context(), -1).Result()
	if err != nil {
		t.Fatal(err)
	}
	times := map[string][]int64{} // :: number of keys → times
	most := "0"
	for _, e := range entries {
		if len(e.Args) > 2 && strings.EqualFold(e.Args[0], "evalsha") {
			times[e.Args[2]] = append(times[e.Args[2]], e.Duration.Microseconds())
			most = max(most, e.Args[2])
		}
	}
	slices.Sort(times[most])
	return times[most][len(times[most])/2]
}

type commandStat struct{ calls, usec int64 }

type commandStatistics map[string]commandStat

func commandStats(t *testing.T, c *redis.Client) commandStatistics {
	t.Helper()
	text, err := c.Info(t.Context(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	stats := commandStatistics{}
	for line := range strings.Lines(text) {
		name, values, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "cmdstat_"), ":")
		if !ok {
			continue
		}
		var stat commandStat
		for value := range strings.SplitSeq(values, ",") {
			key, number, _ := strings.Cut(value, "=")
			switch n, _ := strconv.ParseInt(number, 10, 64); key {
			case "calls":
				stat.calls = n
			case "usec":
				stat.usec = n
			}
		}
		stats[name] = stat
	}
	return stats
}

// since returns what one of so many rotations has cost.
func (s commandStatistics) since(before commandStatistics, calls int) rotationCost {
	var c rotationCost
	var texts []string
	for _, name := range slices.Sorted(maps.Keys(s)) {
		n := float64(s[name].calls-before[name].calls) / float64(calls)
		usec := float64(s[name].usec-before[name].usec) / float64(calls)
		switch name {
		case "info", "slowlog|reset", "slowlog|get", "hello", "client", "client|setinfo", "scan", "memory|usage", "ping", "command":
			continue // of this test and of new connections
		case "evalsha":
			c.usec = usec
		case "multi", "exec":
		default:
			c.all += usec
		}
		if n > 0 {
			texts = append(texts, fmt.Sprintf("%s %.2g", name, n))
		}
	}
	c.commands = strings.Join(texts, ", ")
	return c
}

// recordKey returns the key of a session's record: it has the session's name, as text or as bytes.
func recordKey(t *testing.T, c *redis.Client, id string) string {
	t.Helper()
	for _, key := range c.Keys(t.Context(), "opgrant:s*").Val() {
		if strings.HasSuffix(key, nameOf(t, id)) || strings.HasSuffix(key, id[22:44]) {
			return key
		}
	}
	t.Fatal("the session has no record")
	return ""
}

// nameOf returns the name of a session within its subject, as bytes.
func nameOf(t *testing.T, id string) string {
	t.Helper()
	name, err := base64.RawURLEncoding.DecodeString(id[22:44])
	if err != nil {
		t.Fatal(err)
	}
	return string(name)
}
