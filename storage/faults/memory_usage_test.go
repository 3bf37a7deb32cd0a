package faults_test

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"
)

// eachOf calls f for 0 to n-1 from several goroutines and stops at the first error.
func eachOf(t *testing.T, n int, f func(i int) error) {
	t.Helper()
	var next atomic.Int64
	var failed atomic.Bool
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if err := f(i); err != nil {
					t.Errorf("session %d: %v", i, err)
					failed.Store(true)
					next.Store(int64(n))
					return
				}
			}
		})
	}
	all.Wait()
	if failed.Load() {
		t.FailNow()
	}
}

// cost is the memory of a Redis, or a share of it.
type cost struct {
	used   float64 // used_memory without the buffers of connections
	tables float64 // of it the slots of the table of keys and the table of expiries, which double when they are full
	parts  parts
}

type part struct{ keys, bytes float64 } // bytes by MEMORY USAGE: of the key and its value

type parts map[string]part

func (p parts) String() string {
	var texts []string
	for _, name := range slices.Sorted(maps.Keys(p)) {
		if v := p[name]; v.bytes >= 0.05 {
			if v.keys < 0.001 { // one key for all sessions
				texts = append(texts, fmt.Sprintf("%s %.0f", name, v.bytes))
			} else {
				texts = append(texts, fmt.Sprintf("%s %.3g × %.0f", name, v.keys, v.bytes/v.keys))
			}
		}
	}
	return strings.Join(texts, ", ")
}

func (c cost) bytes() (sum float64) {
	for _, p := range c.parts {
		sum += p.bytes
	}
	return sum
}

func (c cost) keys() (sum float64) {
	for _, p := range c.parts {
		sum += p.keys
	}
	return sum
}

// combine returns c + factor × other.
func (c cost) combine(other cost, factor float64) cost {
	sum := cost{used: c.used + factor*other.used, tables: c.tables + factor*other.tables, parts: maps.Clone(c.parts)}
	for name, p := range other.parts {
		own := sum.parts[name]
		sum.parts[name] = part{own.keys + factor*p.keys, own.bytes + factor*p.bytes}
	}
	return sum
}

func (c cost) minus(other cost) cost { return c.combine(other, -1) }
func (c cost) plus(other cost) cost  { return c.combine(other, 1) }
func (c cost) each(n int) cost       { return cost{parts: parts{}}.combine(c, 1/float64(n)) }

// measure reads the memory of a Redis: what INFO tells, and MEMORY USAGE of every key.
func measure(t *testing.T, c *redis.Client, partOf func(key string) string) cost {
	t.Helper()
	ctx := t.Context()
	m := cost{parts: parts{}}
	for cursor := uint64(0); ; {
		keys, next, err := c.Scan(ctx, cursor, "*", 1000).Result()
		if err != nil {
			t.Fatal(err)
		}
		sizes := make([]*redis.IntCmd, len(keys))
		_, err = c.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i, key := range keys {
				sizes[i] = p.MemoryUsage(ctx, key, 0) // 0: every member of an index
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for i, key := range keys {
			p := m.parts[partOf(key)]
			m.parts[partOf(key)] = part{p.keys + 1, p.bytes + float64(sizes[i].Val())}
		}
		if cursor = next; cursor == 0 {
			break
		}
	}
	m.used = float64(usedMemory(t, c))
	m.tables = tables(t, c)
	return m
}

// usedMemory returns used_memory without what belongs to connections, whose buffers grow and shrink.
func usedMemory(t *testing.T, c *redis.Client) (bytes int64) {
	t.Helper()
	text, err := c.Info(t.Context(), "memory").Result()
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(text, "used_memory:")
	if bytes, err = strconv.ParseInt(strings.TrimSpace(firstLine(rest)), 10, 64); err != nil {
		t.Fatal(err)
	}
	list, err := c.Do(t.Context(), "CLIENT", "LIST").Text()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(list) {
		_, rest, _ := strings.Cut(line, " tot-mem=")
		number, _, _ := strings.Cut(rest, " ")
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		bytes -= n
	}
	return bytes
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// tables returns the bytes of the slots of the two tables of keys. MEMORY STATS counts the entries with them: 40 and 24 bytes for
// each key in Redis 7.0.
func tables(t *testing.T, c *redis.Client) float64 {
	t.Helper()
	stats, err := c.Do(t.Context(), "MEMORY", "STATS").Slice()
	if err != nil {
		t.Fatal(err)
	}
	sum := int64(0)
	for i, name := range stats {
		if overheads, ok := stats[min(i+1, len(stats)-1)].([]any); ok && name == "db.0" {
			for k := 1; k < len(overheads); k += 2 {
				bytes, _ := overheads[k].(int64)
				sum += bytes
			}
		}
	}
	keys, expiring := c.DBSize(t.Context()).Val(), int64(0)
	if _, text, ok := strings.Cut(c.Info(t.Context(), "keyspace").Val(), "expires="); ok {
		number, _, _ := strings.Cut(text, ",")
		expiring, _ = strconv.ParseInt(number, 10, 64)
	}
	return float64(sum - 40*keys - 24*expiring)
}
