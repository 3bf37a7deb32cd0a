package storage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// The two doors that a Meter tells apart.
const (
	APIOperations = "legacy"   // operations
	APIOAuth      = "standard" // OAuth 2.0
)

// Usage says how often somebody came in by a door, and when first and last.
type Usage struct {
	Door      string    `json:"door"`
	Client    string    `json:"client"`
	User      string    `json:"user"`
	UserAgent string    `json:"user_agent"`
	Count     int64     `json:"count"`
	First     time.Time `json:"first"`
	Last      time.Time `json:"last"`
}

// Meter counts who uses which door, so that it can be seen who still has to move before the legacy one is shut. It counts in
// memory; Run carries the numbers to Redis, where those of all servers meet. It is safe for concurrent use.
//
// The numbers are for people: a server that is killed takes up to five seconds of them with it, and a reply of Redis that is
// lost counts them twice. What nobody has used for 90 days is forgotten.
type Meter struct {
	db  *db
	now func() time.Time

	mutex   sync.Mutex
	pending map[string]*tally // :: who, as JSON → since the last flush
}

type tally struct{ count, first, last int64 }

const (
	maxUses     = 20_000 // in Redis
	maxPending  = 5_000  // in memory
	useChunk    = 200
	meterLife   = 180 * 24 * time.Hour
	meterMemory = 90 * 24 * time.Hour
	meterPeriod = 5 * time.Second
	anybody     = "*"
)

// NewMeter returns a meter on this store. It counts nothing in Redis before Run or Flush.
func (s *Store) NewMeter() *Meter {
	return &Meter{db: s.db, now: time.Now, pending: make(map[string]*tally)}
}

// Count counts one use, and never waits for Redis. Past some thousands of different ones, users and user agents are no
// longer told apart and are called "*".
func (m *Meter) Count(door, client, user, userAgent string) {
	at := m.now().UnixMilli()
	who := useField(door, client, user, userAgent)
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if m.pending[who] == nil && len(m.pending) >= maxPending {
		who = useField(door, client, anybody, anybody)
	}
	m.add(who, tally{1, at, at})
}

func (m *Meter) add(who string, t tally) {
	sum := m.pending[who]
	if sum == nil {
		m.pending[who] = &t
		return
	}
	sum.count += t.count
	sum.first, sum.last = min(sum.first, t.first), max(sum.last, t.last)
}

func useField(door, client, user, userAgent string) string {
	userAgent = userAgent[:min(len(userAgent), maxUserAgent)]
	field, _ := json.Marshal([4]string{door, client, user, userAgent}) // strings always encode
	return string(field)
}

// Run carries the numbers to Redis every few seconds until the context ends, and then once more. While Redis is out of reach
// they wait. It returns what the last time came to.
func (m *Meter) Run(ctx context.Context) error {
	ticker := time.NewTicker(meterPeriod)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			_ = m.Flush(ctx) // what did not arrive is sent with the next ones
		case <-ctx.Done():
			return m.Flush(context.WithoutCancel(ctx))
		}
	}
}

// meterScript adds uses to the meter. KEYS: the meter. ARGV: fields it may have, its life in milliseconds, then for each use
// its field, the one it becomes when the meter is full, and how often, when first and when last.
var meterScript = redis.NewScript(`
local fields = redis.call('HLEN', KEYS[1])
for i = 3, #ARGV, 5 do
  local field, count, first, last = ARGV[i], tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3]), tonumber(ARGV[i + 4])
  local found = redis.call('HGET', KEYS[1], field)
  if not found and fields >= tonumber(ARGV[1]) then
    field = ARGV[i + 1]
    found = redis.call('HGET', KEYS[1], field)
  end
  if found then
    local c, f, l = string.match(found, '^(%d+) (%d+) (%d+)$')
    if c then count, first, last = count + c, math.min(first, f), math.max(last, l) end
  else
    fields = fields + 1
  end
  redis.call('HSET', KEYS[1], field, string.format('%d %d %d', count, first, last))
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1`)

// Flush carries to Redis what has been counted since the last time. On an error it is kept for the next time.
func (m *Meter) Flush(ctx context.Context) error {
	m.mutex.Lock()
	taken := m.pending
	m.pending = make(map[string]*tally)
	m.mutex.Unlock()

	whos := make([]string, 0, len(taken))
	for who := range taken {
		whos = append(whos, who)
	}
	for chunk := range slices.Chunk(whos, useChunk) {
		if err := m.send(ctx, chunk, taken); err != nil {
			m.mutex.Lock()
			defer m.mutex.Unlock()
			for who, t := range taken {
				m.add(who, *t)
			}
			return err
		}
		for _, who := range chunk {
			delete(taken, who)
		}
	}
	return nil
}

func (m *Meter) send(ctx context.Context, whos []string, taken map[string]*tally) error {
	c := call{script: meterScript, keys: []string{m.db.keys.meter()}, args: []any{maxUses, meterLife.Milliseconds()}}
	for _, who := range whos {
		t := taken[who]
		u, err := parseUse(who, "")
		if err != nil {
			continue
		}
		c.args = append(c.args, who, useField(u.Door, u.Client, anybody, anybody), t.count, t.first, t.last)
	}
	_, err := m.db.eval(ctx, "meter", c)
	return err
}

// Report returns what all servers have counted, the legacy door first, and within each client who came last first. It
// removes from Redis what has been forgotten.
func (m *Meter) Report(ctx context.Context) ([]Usage, error) {
	const op = "read meter"
	var all map[string]string
	err := m.db.do(ctx, op, func(ctx context.Context) error {
		var err error
		all, err = m.db.rdb.HGetAll(ctx, m.db.keys.meter()).Result()
		return err
	})
	if err != nil {
		return nil, err
	}
	var uses []Usage
	var old []any
	horizon := m.now().Add(-meterMemory)
	for who, numbers := range all {
		u, err := parseUse(who, numbers)
		if err != nil || u.Last.Before(horizon) {
			old = append(old, who, numbers)
			continue
		}
		uses = append(uses, u)
	}
	if err := m.forget(ctx, old); err != nil {
		return nil, err
	}
	slices.SortFunc(uses, func(a, b Usage) int {
		if c := strings.Compare(a.Door, b.Door); c != 0 {
			return c
		}
		if c := strings.Compare(a.Client, b.Client); c != 0 {
			return c
		}
		if c := b.Last.Compare(a.Last); c != 0 {
			return c
		}
		return strings.Compare(a.User+"\x00"+a.UserAgent, b.User+"\x00"+b.UserAgent)
	})
	return uses, nil
}

// forgetScript removes fields that are as they were read. KEYS: the meter. ARGV: field and value in turn.
var forgetScript = redis.NewScript(`
for i = 1, #ARGV, 2 do
  if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1] then redis.call('HDEL', KEYS[1], ARGV[i]) end
end
return 1`)

func (m *Meter) forget(ctx context.Context, old []any) error {
	for chunk := range slices.Chunk(old, 2*useChunk) {
		c := call{script: forgetScript, keys: []string{m.db.keys.meter()}, args: chunk}
		if _, err := m.db.eval(ctx, "forget uses", c); err != nil {
			return err
		}
	}
	return nil
}

var errUse = errors.New("unreadable use")

// parseUse reads a field of the meter, and its numbers where there are any.
func parseUse(who, numbers string) (Usage, error) {
	var f [4]string
	if err := json.Unmarshal([]byte(who), &f); err != nil {
		return Usage{}, errUse
	}
	u := Usage{Door: f[0], Client: f[1], User: f[2], UserAgent: f[3]}
	if numbers == "" {
		return u, nil
	}
	var first, last int64
	if _, err := fmt.Sscanf(numbers, "%d %d %d", &u.Count, &first, &last); err != nil {
		return Usage{}, errUse
	}
	u.First, u.Last = time.UnixMilli(first).UTC(), time.UnixMilli(last).UTC()
	return u, nil
}
