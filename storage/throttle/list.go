package throttle

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
)

// Entry is what is counted of one user, network or client.
type Entry struct {
	Kind string `json:"kind"` // user, network or client
	Name string `json:"name"` // up to 256 bytes of it
	// Network is where the attempts came from: empty where all are counted together.
	Network string `json:"network,omitempty"`
	// Failures is how many are counted now, attempts in flight included.
	Failures int `json:"failures"`
	InFlight int `json:"in_flight,omitempty"`
	// Limit is how many may be counted.
	Limit int `json:"limit"`
	// RetryAt is when the next attempt is not refused, zero if it is not refused now.
	RetryAt time.Time `json:"retry_at,omitzero"`
	// FreeAt is when nothing is counted any more.
	FreeAt time.Time `json:"free_at"`
}

// Known is a network that a user has logged in from.
type Known struct {
	Network string    `json:"network"`
	Until   time.Time `json:"until"` // when it is forgotten without another login
}

// List returns everything that is counted, the fullest first. It looks through all keys of the store.
func (t *Throttle) List(ctx context.Context) ([]Entry, error) {
	const op = "list failed logins"
	if err := t.db.CheckEpoch(ctx, op); err != nil {
		return nil, err
	}
	var keys []string
	err := t.db.Do(ctx, op, func(ctx context.Context) error {
		var mutex sync.Mutex
		keys = nil
		scan := func(ctx context.Context, node *redis.Client) error {
			found := node.Scan(ctx, 0, t.db.Keys.Failures("*"), 1000).Iterator()
			for found.Next(ctx) {
				mutex.Lock()
				keys = append(keys, found.Val())
				mutex.Unlock()
			}
			return found.Err()
		}
		switch client := t.db.Client.(type) {
		case *redis.ClusterClient:
			return client.ForEachMaster(ctx, scan)
		case *redis.Client:
			return scan(ctx, client)
		}
		return errors.New("the client of Redis is of no kind that can be asked for all keys")
	})
	if err != nil {
		return nil, err
	}
	slices.Sort(keys)
	var list []Entry
	for chunk := range slices.Chunk(slices.Compact(keys), 500) {
		entries, err := t.read(ctx, op, chunk)
		if err != nil {
			return nil, err
		}
		list = append(list, entries...)
	}
	slices.SortStableFunc(list, func(a, b Entry) int {
		return cmp.Compare(float64(b.Failures)/float64(b.Limit), float64(a.Failures)/float64(a.Limit))
	})
	return list, nil
}

// ListUser returns what is counted of one user, and the networks that the user has logged in from, the last one first.
func (t *Throttle) ListUser(ctx context.Context, user string) ([]Entry, []Known, error) {
	const op = "list failed logins"
	if err := t.db.CheckEpoch(ctx, op); err != nil {
		return nil, nil, err
	}
	tag := redisdb.SubjectTag(user)
	entries, err := t.read(ctx, op, []string{t.db.Keys.Failures(tag)})
	if err != nil {
		return nil, nil, err
	}
	var networks []redis.Z
	var now int64
	err = t.db.Do(ctx, op, func(ctx context.Context) error {
		var found *redis.ZSliceCmd
		var clock *redisdb.Clock
		_, err := t.db.Client.Pipelined(ctx, func(p redis.Pipeliner) error {
			found = p.ZRevRangeWithScores(ctx, t.db.Keys.KnownNetworks(tag), 0, -1)
			clock = t.db.QueueClock(ctx, p, t.db.Keys.KnownNetworks(tag))
			return nil
		})
		if err != nil {
			return err
		}
		networks = found.Val()
		now, err = clock.Milliseconds()
		return err
	})
	var known []Known
	for _, n := range networks {
		if name, ok := n.Member.(string); ok && int64(n.Score) > now {
			known = append(known, Known{Network: name, Until: time.UnixMilli(int64(n.Score)).UTC()})
		}
	}
	return entries, known, err
}

// read reads counters, in one round trip.
func (t *Throttle) read(ctx context.Context, op string, keys []string) ([]Entry, error) {
	var list []Entry
	err := t.db.Do(ctx, op, func(ctx context.Context) error {
		found := make([]*redis.MapStringStringCmd, len(keys))
		var clock *redisdb.Clock
		_, err := t.db.Client.Pipelined(ctx, func(p redis.Pipeliner) error {
			clock = t.db.QueueClock(ctx, p, keys[0])
			for i, key := range keys {
				found[i] = p.HGetAll(ctx, key)
			}
			return nil
		})
		commands := make([]redis.Cmder, len(found))
		for i, c := range found {
			commands[i] = c
		}
		// Counters of an earlier version are strings. They expire, and say nothing about these limits.
		if err != nil && !redis.HasErrorPrefix(err, "WRONGTYPE") {
			return err
		}
		for _, c := range commands {
			if c.Err() != nil && !redis.HasErrorPrefix(c.Err(), "WRONGTYPE") {
				return c.Err()
			}
		}
		now, err := clock.Milliseconds()
		if err != nil {
			return err
		}
		list = nil
		for _, c := range found {
			list = append(list, t.entries(c.Val(), now)...)
		}
		return nil
	})
	return list, err
}

// entries reads the fields of one counter. See bucket.lua.
func (t *Throttle) entries(fields map[string]string, now int64) []Entry {
	kind, name, _ := strings.Cut(fields["name"], ":")
	c := counter{}
	switch kind {
	case kindUser:
		c = t.userCounter(name, "")
	case kindNetwork:
		c = t.networkCounter(name)
	case kindClient:
		c = t.clientCounter(name, "")
	}
	var list []Entry
	for field, raw := range fields {
		network, one := strings.CutPrefix(field, "n:")
		if !one && field != "all" {
			continue
		}
		l := c.all
		if one {
			l = c.perNetwork
		} else {
			network = ""
		}
		parts := strings.Fields(raw)
		empty, err := strconv.ParseInt(parts[0], 10, 64)
		if err != nil || empty <= now || l.failures == 0 {
			continue
		}
		empty = min(empty, now+l.interval*l.failures) // as the scripts take it
		e := Entry{
			Kind: kind, Name: name, Network: network, Limit: int(l.failures), FreeAt: time.UnixMilli(empty).UTC(),
			Failures: int(math.Ceil(float64(empty-now) / float64(l.interval))),
		}
		for _, flight := range parts[1:] {
			_, deadline, _ := strings.Cut(flight, ":")
			if ms, err := strconv.ParseInt(deadline, 10, 64); err == nil && ms > now && kind != kindClient {
				e.InFlight++
			}
		}
		if retry := empty + l.interval - l.interval*l.failures; retry > now {
			e.RetryAt = time.UnixMilli(retry).UTC()
		}
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b Entry) int { return cmp.Or(b.Failures-a.Failures, cmp.Compare(a.Network, b.Network)) })
	return list
}
