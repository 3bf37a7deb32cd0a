package throttle

import (
	"fmt"
	"testing"
	"time"

	"github.com/opgrant/opgrant/storage/internal/luacover"
)

func TestScripts(t *testing.T) {
	luacover.Run(t, func(now int64) []luacover.Script {
		return []luacover.Script{
			{
				Name: "reserveScript", Source: reserveScript.Source(), Parts: []string{"bucket.lua", "reserve.lua"},
				Cases: reserveCases(buckets{now}),
			},
			{
				Name: "settleScript", Source: settleScript.Source(), Completes: true, Parts: []string{"bucket.lua", "settle.lua"},
				Cases: settleCases(buckets{now}),
			},
			{Name: "clearScript", Source: clearScript.Source(), Completes: true, Cases: []luacover.Case{
				{
					Name:   "the buckets alone",
					Before: [][]any{{"HSET", "f", "name", "alice", "all", "1", "n:a", "1"}, {"ZADD", "k", 1, "n"}},
					Keys:   []string{"f", "k"}, Args: []any{"0"}, Reply: 2, Again: 0, After: luacover.State{"k": luacover.Scores{"n": 1}},
				},
				{
					Name:   "the networks too",
					Before: [][]any{{"HSET", "f", "name", "alice", "all", "1"}, {"ZADD", "k", 1, "n"}},
					Keys:   []string{"f", "k"}, Args: []any{"1"}, Reply: 1, Again: 0, After: luacover.State{},
				},
				{Name: "there are none", Keys: []string{"f", "k"}, Args: []any{"1"}, Reply: 0},
			}},
		}
	})
}

// hour is the unit of the tables, in ms: the interval of each bucket.
const hour = int64(3600_000)

// The attempts of the tables.
const (
	one   = "attempt-001"
	two   = "attempt-002"
	three = "attempt-003"
)

// buckets writes buckets as bucket.lua does.
type buckets struct{ now int64 }

// at is the value of a bucket that is empty in so many hours, with attempts in flight and the hours until they are failures.
func (b buckets) at(empty int64, flying ...any) string {
	text := fmt.Sprint(b.now + empty*hour)
	for i := 0; i < len(flying); i += 2 {
		text += fmt.Sprintf(" %s:%013d", flying[i], b.now+int64(flying[i+1].(int))*hour)
	}
	return text
}

// set makes the hash of buckets.
func set(fields ...any) []any { return append([]any{"HSET", "f"}, fields...) }

func hours(n int) map[string]time.Duration {
	return map[string]time.Duration{"f": time.Duration(n) * time.Hour}
}

func reserveCases(b buckets) []luacover.Case {
	type hash = luacover.Hash
	keys := []string{"f", "k"}
	// args are of the attempt one: it flies for two hours, and there are at most two networks.
	args := func(network string, perNetwork, all int) []any {
		return []any{one, "user:alice", network, hour, perNetwork, hour, all, 2 * hour, 2}
	}
	after := func(h hash) luacover.State { return luacover.State{"f": h} }
	mine := b.at(1, one, 2)
	counted := func(wait int64, known int) []any { return []any{0, wait, "", known} }
	full := func(wait int64, field string) []any { return []any{1, wait, field, 0} }
	busy := func(wait int64, field string) []any { return []any{2, wait, field, 0} }
	return []luacover.Case{
		{
			Name: "the first attempt", Keys: keys, Args: args("a", 3, 9), Reply: counted(0, 0),
			After: after(hash{"name": "user:alice", "n:a": mine, "all": mine}), TTL: hours(2),
		},
		{
			Name: "the last that fits", Keys: keys, Args: args("a", 1, 9), Reply: counted(hour, 0),
			After: after(hash{"name": "user:alice", "n:a": mine, "all": mine}), TTL: hours(2),
		},
		{
			Name: "without a network", Keys: keys, Args: args("", 3, 9), Reply: counted(0, 0),
			After: after(hash{"name": "user:alice", "all": mine}), TTL: hours(2),
		},
		{Name: "without limits", Keys: keys, Args: args("a", 0, 0), Reply: counted(0, 0)},
		{
			Name: "a network that is known", Before: [][]any{{"ZADD", "k", b.now + 1, "a"}}, Keys: keys, Args: args("a", 3, 9),
			Reply: counted(0, 1), TTL: hours(2),
			After: luacover.State{"k": luacover.Scores{"a": float64(b.now + 1)}, "f": hash{"name": "user:alice", "n:a": mine}},
		},
		{
			Name: "a network that was known", Before: [][]any{{"ZADD", "k", b.now, "a"}}, Keys: keys, Args: args("a", 3, 9),
			Reply: counted(0, 0), TTL: hours(2),
			After: luacover.State{"k": luacover.Scores{"a": float64(b.now)}, "f": hash{"name": "user:alice", "n:a": mine, "all": mine}},
		},
		{
			Name: "beside failures and an attempt in flight", Keys: keys, Args: args("a", 5, 9), Reply: counted(0, 0), TTL: hours(6),
			Before: [][]any{set("name", "user:alice", "n:a", b.at(3, two, 1), "all", b.at(5, two, 1)), {"EXPIRE", "f", 3600}},
			After:  after(hash{"name": "user:alice", "n:a": b.at(4, two, 1, one, 2), "all": b.at(6, two, 1, one, 2)}),
		},
		{
			Name: "attempts after their deadline, and what is not one, are not in flight", Keys: keys, Args: args("a", 5, 9),
			Reply: counted(0, 0), TTL: hours(24),
			Before: [][]any{
				set("name", "user:alice", "n:a", b.at(-1, two, 0, three, 1), "all", b.at(1)+" -------------------------"),
				{"EXPIRE", "f", 86400},
			},
			After: after(hash{"name": "user:alice", "n:a": b.at(1, three, 1, one, 2), "all": b.at(2, one, 2)}),
		},
		{
			Name: "the network is full of failures", Before: [][]any{set("n:a", b.at(1))}, Keys: keys, Args: args("a", 1, 9),
			Reply: full(hour, "n:a"),
		},
		{
			Name: "both are full of failures, all of them for longer", Before: [][]any{set("n:a", b.at(1), "all", b.at(2))},
			Keys: keys, Args: []any{one, "user:alice", "a", hour, 1, 2 * hour, 1, 2 * hour, 2}, Reply: full(2*hour, "all"),
		},
		{
			Name: "both are full of failures, the network for longer", Before: [][]any{set("n:a", b.at(2), "all", b.at(1))},
			Keys: keys, Args: []any{one, "user:alice", "a", 2 * hour, 1, hour, 1, 2 * hour, 2}, Reply: full(2*hour, "n:a"),
		},
		{
			Name: "full with attempts in flight", Before: [][]any{set("n:a", b.at(1, two, 1), "all", b.at(1, two, 1))},
			Keys: keys, Args: args("a", 1, 1), Reply: busy(hour, "n:a"),
		},
		{
			Name: "the network in flight, all full of failures", Before: [][]any{set("n:a", b.at(1, two, 1), "all", b.at(1))},
			Keys: keys, Args: args("a", 1, 1), Reply: full(hour, "all"),
		},
		{
			Name: "the limit was lowered", Before: [][]any{set("n:a", b.at(5))}, Keys: keys, Args: args("a", 3, 0), Reply: full(hour, "n:a"),
			After: after(hash{"n:a": b.at(3)}), TTL: hours(3),
		},
		{
			Name: "too many networks: the emptiest is forgotten", Keys: keys, Args: args("c", 3, 9), Reply: counted(0, 0), TTL: hours(4),
			Before: [][]any{set("name", "user:alice", "n:a", b.at(2), "n:b", b.at(1), "all", b.at(3))},
			After:  after(hash{"name": "user:alice", "n:a": b.at(2), "n:c": mine, "all": b.at(4, one, 2)}),
		},
		{
			Name: "too many networks: one of them stays", Keys: keys, Args: args("a", 3, 9), Reply: counted(0, 0), TTL: hours(4),
			Before: [][]any{set("name", "user:alice", "n:a", b.at(1), "n:b", b.at(1), "all", b.at(3))},
			After:  after(hash{"name": "user:alice", "n:a": b.at(2, one, 2), "n:b": b.at(1), "all": b.at(4, one, 2)}),
		},
		{
			Name: "too many fields, none of a network", Keys: keys, TTL: hours(3),
			Args:   []any{one, "user:alice", "a", hour, 3, hour, 9, 2 * hour, 0},
			Reply:  counted(0, 0),
			Before: [][]any{set("name", "user:alice", "all", b.at(2))},
			After:  after(hash{"name": "user:alice", "n:a": mine, "all": b.at(3, one, 2)}),
		},
	}
}

func settleCases(b buckets) []luacover.Case {
	type hash = luacover.Hash
	keys := []string{"f", "k"}
	// args are of the attempt one. A network is known for a day, and two of them are.
	args := func(result Result, network string) []any {
		return []any{one, string(result), network, hour, hour, 24 * hour, 2}
	}
	const known = "k"
	soon := float64(b.now + 24*hour)
	flying := [][]any{
		set("name", "user:alice", "n:a", b.at(3, one, 1, two, 1), "all", b.at(4, one, 1, two, 1)), {"EXPIRE", "f", 4 * 3600},
	}
	return []luacover.Case{
		{
			Name: "a failure stays counted", Before: flying, Keys: keys, Args: args(Failed, "a"), Reply: 1, TTL: hours(4),
			After: luacover.State{"f": hash{"name": "user:alice", "n:a": b.at(3, two, 1), "all": b.at(4, two, 1)}},
		},
		{
			Name: "a cancelled attempt is taken back", Before: flying, Keys: keys, Args: args(Cancelled, "a"), Reply: 1, TTL: hours(4),
			After: luacover.State{"f": hash{"name": "user:alice", "n:a": b.at(2, two, 1), "all": b.at(3, two, 1)}},
		},
		{
			Name: "a success forgives the network its failures", Before: flying, Keys: keys, Args: args(Succeeded, "a"), Reply: 1,
			TTL: map[string]time.Duration{"f": 4 * time.Hour, known: 24 * time.Hour},
			After: luacover.State{
				"f":   hash{"name": "user:alice", "n:a": b.at(1, two, 1), "all": b.at(3, two, 1)},
				known: luacover.Scores{"a": soon},
			},
		},
		{
			Name: "the last attempt leaves nothing", Keys: keys, Args: args(Cancelled, "a"), Reply: 1, After: luacover.State{},
			Before: [][]any{set("name", "user:alice", "n:a", b.at(1, one, 1), "all", b.at(1, one, 1))},
		},
		{
			Name: "a success after its deadline", Keys: keys, Args: args(Succeeded, "a"), Reply: 1,
			Before: [][]any{set("name", "user:alice", "n:a", b.at(1, one, 0), "all", b.at(1, one, 0))},
			TTL:    map[string]time.Duration{known: 24 * time.Hour},
			After: luacover.State{
				"f": hash{"name": "user:alice", "all": b.at(1, one, 0)}, known: luacover.Scores{"a": soon},
			},
		},
		{
			Name: "a failure after its deadline", Keys: keys, Args: args(Failed, "a"), Reply: 1,
			Before: [][]any{set("name", "user:alice", "n:a", b.at(1, one, 0), "all", b.at(1, one, 0))},
		},
		{
			Name: "a success without a network", Keys: keys, Args: args(Succeeded, ""), Reply: 1,
			Before: [][]any{set("name", "user:alice", "all", b.at(2, one, 1)), {"EXPIRE", "f", 3600}}, TTL: hours(1),
			After: luacover.State{"f": hash{"name": "user:alice", "all": b.at(1)}},
		},
		{
			Name: "a known network that has expired, and one too many, are forgotten", Keys: keys, Args: args(Succeeded, "a"), Reply: 1,
			Before: [][]any{{"ZADD", known, b.now, "old", b.now + 1, "b", b.now + 2, "c"}},
			TTL:    map[string]time.Duration{known: 24 * time.Hour},
			After:  luacover.State{known: luacover.Scores{"c": float64(b.now + 2), "a": soon}},
		},
	}
}
