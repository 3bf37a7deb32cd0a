package storage

import (
	"fmt"

	"github.com/opgrant/opgrant/storage/internal/luacover"
)

// small are the tables of the scripts about sessions that are one screen of their Go file.
func (t sessionTables) small() []luacover.Script {
	pointer := func(ttl int, before ...[]any) luacover.Case {
		return luacover.Case{
			Before: before, Keys: []string{"p"}, Args: []any{"session", int64(ttl) * hourMS}, Reply: reply("ok"), After: luacover.State{"p": "session"},
		}
	}
	named := func(name string, c luacover.Case, hours int) luacover.Case {
		c.Name, c.TTL = name, ttls("p", hours)
		return c
	}
	confirm := func(name string, ttl, hours int, before ...[]any) luacover.Case {
		c := luacover.Case{Name: name, Before: before, Keys: []string{"answer"}, Args: []any{int64(ttl) * hourMS}, Reply: 1}
		if hours > 0 {
			c.After, c.TTL = luacover.State{"answer": "sealed"}, ttls("answer", hours)
		}
		return c
	}
	answer := []any{"SET", "answer", "sealed", "EX", 5 * 3600}
	removed := confirm("no grace: it is removed", 0, 0, answer)
	removed.After = luacover.State{}
	agent := func(name string, after luacover.Hash, before ...any) luacover.Case {
		c := luacover.Case{
			Name: name, Keys: []string{"agents"}, Args: []any{"hash-2", "curl", 2, 24 * hourMS}, Reply: 1,
			After: luacover.State{"agents": after}, TTL: ttls("agents", 24),
		}
		if len(before) > 0 {
			c.Before = [][]any{append([]any{"HSET", "agents"}, before...)}
		}
		return c
	}
	const later = "the second mark is later"
	return []luacover.Script{
		{Name: "pointerScript", Source: pointerScript.Source(), Completes: true, Cases: []luacover.Case{
			named("a pointer", pointer(2), 2),
			named("the TTL is made longer", pointer(4, []any{"SET", "p", "session", "EX", 3600}), 4),
			named("the TTL is not made shorter", pointer(1, []any{"SET", "p", "other", "EX", 3 * 3600}), 3),
		}},
		{Name: "confirmScript", Source: confirmScript.Source(), Completes: true, Cases: []luacover.Case{
			confirm("the grace is shorter", 1, 1, answer), confirm("the grace is longer", 7, 5, answer), removed,
			confirm("it has expired", 1, 0),
		}},
		{Name: "endedBeforeScript", Source: endedBeforeScript.Source(), Completes: true, Cases: []luacover.Case{
			{
				Name: "now", Keys: []string{"ended"}, Args: []any{24 * hourMS}, Reply: 1,
				After: luacover.State{"ended": fmt.Sprint(t.now)}, TTL: ttls("ended", 24), Once: later,
			},
			{
				Name: "again", Before: [][]any{setKey("ended", "1")}, Keys: []string{"ended"}, Args: []any{24 * hourMS}, Reply: 1,
				After: luacover.State{"ended": fmt.Sprint(t.now)}, TTL: ttls("ended", 24), Once: later,
			},
			{
				Name: "the clock was set back, or a session was opened right after", Before: [][]any{setKey("ended", fmt.Sprint(t.now-5))},
				Keys: []string{"ended"}, Args: []any{24 * hourMS}, Reply: 1,
				After: luacover.State{"ended": fmt.Sprint(t.now + 5)}, TTL: ttls("ended", 24), Once: later,
			},
		}},
		{Name: "endScript", Source: endScript.Source(), Completes: true, Cases: t.endCases()},
		{Name: "agentScript", Source: agentScript.Source(), Completes: true, Cases: []luacover.Case{
			agent("the first", luacover.Hash{"hash-2": "curl"}),
			agent("it is there", luacover.Hash{"hash-2": "wget"}, "hash-2", "wget"),
			agent("the table is full", luacover.Hash{"hash-1": "a", "hash-3": "b"}, "hash-1", "a", "hash-3", "b"),
		}},
	}
}

func (t sessionTables) endCases() []luacover.Case {
	const other, otherOld = "session-000other", "name-of-another-one--1"
	keys := []string{"index", "evicted", "oldindex", "oldevicted", "s1", "old1", "s2", "old2"}
	return []luacover.Case{
		{
			Name: "two sessions of three", Keys: keys, Args: []any{rawName, oldName, "session-00000002", "name-of-the-session--2"}, Reply: reply("ok"),
			Before: [][]any{
				setKey("s1", "1"), setKey("old1", "1"), setKey("s2", "1"), setKey("s3", "1"),
				{"ZADD", "index", 1, rawName, 2, limited + "session-00000002", 3, limited + other},
				{"ZADD", "evicted", 1, rawName, 3, other},
				{"ZADD", "oldindex", 1, oldName + ":client", 3, otherOld + ":client"},
				{"ZADD", "oldevicted", 1, oldName, 3, otherOld},
			},
			After: luacover.State{
				"s3": "1", "index": luacover.Scores{limited + other: 3}, "evicted": luacover.Scores{other: 3},
				"oldindex": luacover.Scores{otherOld + ":client": 3}, "oldevicted": luacover.Scores{otherOld: 3},
			},
		},
		{Name: "no session", Keys: keys[:4], Reply: reply("ok")},
	}
}
