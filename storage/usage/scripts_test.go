package usage

import (
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/opgrant/opgrant/storage/internal/luacover"
)

func TestScripts(t *testing.T) {
	luacover.Run(t, func(now int64) []luacover.Script {
		return []luacover.Script{
			{Name: "addScript", Source: addScript.Source(), Completes: true, Parts: []string{"add.lua"}, Cases: addCases(now)},
			{Name: "forgetScript", Source: forgetScript.Source(), Completes: true, Cases: []luacover.Case{
				{
					Name:   "a field that has changed stays",
					Before: [][]any{{"HSET", "meter", "a", "1 2 3", "b", "4 5 6", "c", "7 8 9"}},
					Keys:   []string{"meter"}, Args: []any{"a", "1 2 3", "b", "3 5 6", "d", "1 1 1"}, Reply: 1,
					After: luacover.State{"meter": luacover.Hash{"b": "4 5 6", "c": "7 8 9"}},
				},
				{Name: "nothing to forget", Before: [][]any{{"HSET", "meter", "a", "1 2 3"}}, Keys: []string{"meter"}, Reply: 1},
			}},
		}
	})
}

// addCases has times relative to now. The gap is a minute.
func addCases(now int64) []luacover.Case {
	const (
		maxDetailed, maxFields = 4, 5
		gap                    = 60_000
		twice                  = "the calls are counted twice"
	)
	at := func(ms int64) string { return strconv.FormatInt(now+ms, 10) }
	value := func(count int, first, last int64) string { return fmt.Sprintf("%d %s %s", count, at(first), at(last)) }
	keys, ttls := []string{"meter"}, map[string]time.Duration{"meter": time.Hour}
	after := func(h luacover.Hash) luacover.State { return luacover.State{"meter": h} }
	args := func(mark any, before int64, callers ...any) []any {
		return append([]any{maxDetailed, maxFields, time.Hour.Milliseconds(), mark, gap, before}, callers...)
	}
	caller := func(name string, count int, first, last int64) []any {
		return []any{name, name + " anywhere", name + " anyone", count, at(first), at(last)}
	}
	set := func(fields ...any) [][]any { return [][]any{append([]any{"HSET", "meter"}, fields...)} }
	return []luacover.Case{
		{
			Name: "the first of all", Keys: keys, Args: args(now, 0, caller("a", 2, -9, -1)...), Reply: 1, TTL: ttls, Once: twice,
			After: after(luacover.Hash{sinceField: at(0), untilField: at(0), "a": value(2, -9, -1)}),
		},
		{
			Name: "a process without the operations API", Keys: keys, Args: args("", 0, caller("a", 2, -9, -1)...), Reply: 1, TTL: ttls,
			Once: twice, After: after(luacover.Hash{"a": value(2, -9, -1)}),
		},
		{
			Name: "the time is marked without calls", Before: set(sinceField, at(-90_000), untilField, at(-30_000)),
			Keys: keys, Args: args(now, now-40_000), Reply: 1, TTL: ttls,
			After: after(luacover.Hash{sinceField: at(-90_000), untilField: at(0)}),
		},
		{
			Name: "no server has counted for longer than the gap", Before: set(sinceField, at(-90_000), untilField, at(-60_001)),
			Keys: keys, Args: args(now, 0), Reply: 1, TTL: ttls,
			After: after(luacover.Hash{sinceField: at(0), untilField: at(0)}),
		},
		{
			Name: "the longest gap, and a mark that is there", Before: set(sinceField, at(-90_000), untilField, at(-60_000)),
			Keys: keys, Args: args(now, now-60_000), Reply: 1, TTL: ttls,
			After: after(luacover.Hash{sinceField: at(-90_000), untilField: at(0)}),
		},
		{
			Name: "a mark of this server is lost", Before: set(sinceField, at(-90_000), untilField, at(-30_000)),
			Keys: keys, Args: args(now, now-20_000), Reply: 1, TTL: ttls,
			After: after(luacover.Hash{sinceField: at(0), untilField: at(0)}),
		},
		{
			Name: "the start is lost", Before: set(untilField, at(-30_000)), Keys: keys, Args: args(now, 0), Reply: 1, TTL: ttls,
			After: after(luacover.Hash{sinceField: at(0), untilField: at(0)}),
		},
		{
			Name: "the clock is behind that of another server", Before: set(sinceField, at(-90_000), untilField, at(700)),
			Keys: keys, Args: args(now, 0, caller("a", 1, -9, -1)...), Reply: 1, TTL: ttls, Once: twice,
			After: after(luacover.Hash{sinceField: at(-90_000), untilField: at(700), "a": value(1, -9, 699)}),
		},
		{
			Name: "calls are added to those that are there", Before: set("a", value(3, -50, -40), "b", value(1, -5, -5), "c", "lost"),
			Keys: keys, Reply: 1, TTL: ttls, Once: twice,
			Args: args("", 0, slices.Concat(caller("a", 2, -60, -45), caller("b", 1, -1, -1), caller("c", 4, -2, -1))...),
			After: after(luacover.Hash{
				"a": value(5, -60, -40), "b": value(2, -5, -1), "c": value(4, -2, -1),
			}),
		},
		{
			Name:   "too many fields: first without the address, then without the user",
			Before: set("x", value(1, -9, -9), "d anyone", value(1, -9, -9), "e anywhere", value(1, -9, -9)),
			Keys:   keys, Reply: 1, TTL: ttls, Once: twice,
			Args: args("", 0, slices.Concat(
				caller("a", 1, -4, -4), caller("b", 2, -3, -3), caller("c", 3, -2, -2), caller("d", 4, -1, -1), caller("e", 5, -1, -1),
				caller("x", 1, -1, -1))...),
			After: after(luacover.Hash{
				"x": value(2, -9, -1), "d anyone": value(5, -9, -1), "e anywhere": value(6, -9, -1),
				"a": value(1, -4, -4), "b anywhere": value(2, -3, -3), "c anyone": value(3, -2, -2),
			}),
		},
	}
}
