package storage

import (
	"slices"
	"testing"
	"time"

	"github.com/opgrant/opgrant/storage/internal/luacover"
)

func TestScripts(t *testing.T) {
	luacover.Run(t, func(now int64) []luacover.Script {
		sessions := sessionTables{now}
		return slices.Concat(sessions.scripts(), sessions.small(), sessions.codes(), []luacover.Script{
			{Name: "swapScript", Source: swapScript.Source(), Completes: true, Cases: swapCases()},
			{Name: "addScript", Source: addScript.Source(), Completes: true, Cases: addCases()},
			{Name: "dropScript", Source: dropScript.Source(), Completes: true, Cases: dropCases()},
			{Name: "roleScript", Source: roleScript.Source(), Completes: true, Cases: roleCases()},
			{Name: "saveKeysScript", Source: saveKeysScript.Source(), Completes: true, Cases: saveKeysCases()},
			{Name: "claimScript", Source: claimScript.Source(), Completes: true, Cases: claimCases()},
			{Name: "probeScript", Source: probeScript.Source(), Completes: true, Cases: []luacover.Case{{
				Name: "one run", Keys: []string{"probe"}, Args: []any{time.Hour.Milliseconds()}, Reply: 1,
				After: luacover.State{"probe": "1"}, TTL: map[string]time.Duration{"probe": time.Hour},
			}}},
		})
	})
}

func swapCases() []luacover.Case {
	keys := []string{"u"}
	return []luacover.Case{
		{
			Name: "as it was read", Before: [][]any{{"SET", "u", "old"}}, Keys: keys, Args: []any{"old", "new"}, Reply: 1,
			After: luacover.State{"u": "new"},
		},
		{Name: "there is none yet", Keys: keys, Args: []any{"", "new"}, Reply: 1, After: luacover.State{"u": "new"}},
		{Name: "it has changed", Before: [][]any{{"SET", "u", "other"}}, Keys: keys, Args: []any{"old", "new"}, Reply: 0},
		{Name: "it was removed", Keys: keys, Args: []any{"old", "new"}, Reply: 0},
		{Name: "it ran before", Before: [][]any{{"SET", "u", "new"}}, Keys: keys, Args: []any{"old", "new"}, Reply: 1},
	}
}

func addCases() []luacover.Case {
	keys := []string{"u", "d"}
	dropped := func(mark string) [][]any { return [][]any{{"SET", "d", mark, "EX", 3600}} }
	added := luacover.State{"u": "new"}
	return []luacover.Case{
		{Name: "there is none yet", Keys: keys, Args: []any{"new", markNone}, Reply: 1, After: added},
		{Name: "there is another", Before: [][]any{{"SET", "u", "other"}}, Keys: keys, Args: []any{"new", markNone}, Reply: 0},
		{
			Name: "it ran before, after the user was dropped", Before: [][]any{{"SET", "u", "new"}}, Keys: keys, Args: []any{"new", markAny},
			Reply: 1,
		},
		{Name: "a mark that forbids it", Before: dropped(markHere), Keys: keys, Args: []any{"new", markHere}, Reply: 2},
		{Name: "another mark", Before: dropped(markGone), Keys: keys, Args: []any{"new", markHere}, Reply: 1, After: added},
		{Name: "any mark forbids it", Before: dropped(markGone), Keys: keys, Args: []any{"new", markAny}, Reply: 2},
		{Name: "any mark would forbid it", Keys: keys, Args: []any{"new", markAny}, Reply: 1, After: added},
		{Name: "no mark forbids it", Before: dropped(markHere), Keys: keys, Args: []any{"new", markNone}, Reply: 1, After: added},
	}
}

func dropCases() []luacover.Case {
	keys, args := []string{"u", "d"}, []any{"old", time.Hour.Milliseconds(), markGone}
	return []luacover.Case{
		{
			Name: "as it was read", Before: [][]any{{"SET", "u", "old"}}, Keys: keys, Args: args, Reply: 1,
			After: luacover.State{"d": markGone}, TTL: map[string]time.Duration{"d": time.Hour},
		},
		{Name: "it has changed", Before: [][]any{{"SET", "u", "other"}}, Keys: keys, Args: args, Reply: 0},
		{
			Name: "it was added again", Before: [][]any{{"SET", "u", "other"}, {"SET", "d", markGone, "EX", 3600}},
			Keys: keys, Args: args, Reply: 0,
		},
		{Name: "there is none", Keys: keys, Args: args, Reply: 0},
		{Name: "it ran before", Before: [][]any{{"SET", "d", markGone, "EX", 3600}}, Keys: keys, Args: args, Reply: 1},
	}
}

func roleCases() []luacover.Case {
	keys := []string{"r", "s"}
	type hash = luacover.Hash
	type set = luacover.Set
	before := [][]any{{"HSET", "r", "admin", "old", "spare", "kept"}, {"SADD", "s", "admin", "spare"}}
	return []luacover.Case{
		{
			Name: "a role that makes a super user", Keys: keys, Args: []any{"admin", "", "new", "1"}, Reply: 1,
			After: luacover.State{"r": hash{"admin": "new"}, "s": set{"admin"}},
		},
		{
			Name: "a role that does not", Keys: keys, Args: []any{"admin", "", "new", "0"}, Reply: 1,
			After: luacover.State{"r": hash{"admin": "new"}},
		},
		{
			Name: "no super user any more", Before: before, Keys: keys, Args: []any{"admin", "old", "new", "0"}, Reply: 1,
			After: luacover.State{"r": hash{"admin": "new", "spare": "kept"}, "s": set{"spare"}},
		},
		{
			Name: "dropped", Before: before, Keys: keys, Args: []any{"admin", "old", "", "0"}, Reply: 1,
			After: luacover.State{"r": hash{"spare": "kept"}, "s": set{"spare"}},
		},
		{Name: "it has changed", Before: before, Keys: keys, Args: []any{"admin", "older", "new", "0"}, Reply: 0},
		{Name: "it was dropped", Before: before, Keys: keys, Args: []any{"writer", "old", "new", "1"}, Reply: 0},
	}
}

func saveKeysCases() []luacover.Case {
	keys := []string{"keys"}
	stored := [][]any{{"SET", "keys", `{"rev":"1"}`}}
	return []luacover.Case{
		{Name: "the first", Keys: keys, Args: []any{`{"rev":"1"}`, "", "1"}, Reply: 1, After: luacover.State{"keys": `{"rev":"1"}`}},
		{
			Name: "the revision that was read", Before: stored, Keys: keys, Args: []any{`{"rev":"2"}`, "1", "2"}, Reply: 1,
			After: luacover.State{"keys": `{"rev":"2"}`},
		},
		{
			Name: "a document without a revision", Before: [][]any{{"SET", "keys", `{}`}}, Keys: keys, Args: []any{`{"rev":"2"}`, "", "2"},
			Reply: 1, After: luacover.State{"keys": `{"rev":"2"}`},
		},
		{Name: "another revision", Before: stored, Keys: keys, Args: []any{`{"rev":"3"}`, "2", "3"}, Reply: 0},
		{Name: "there is one meanwhile", Before: stored, Keys: keys, Args: []any{`{"rev":"3"}`, "", "3"}, Reply: 0},
		{Name: "a record that is not JSON", Before: [][]any{{"SET", "keys", "?"}}, Keys: keys, Args: []any{`{"rev":"2"}`, "", "2"}, Error: "ERR"},
	}
}

func claimCases() []luacover.Case {
	keys, args := []string{"j"}, []any{"mine", time.Hour.Milliseconds()}
	return []luacover.Case{
		{
			Name: "the first", Keys: keys, Args: args, Reply: 1,
			After: luacover.State{"j": "mine"}, TTL: map[string]time.Duration{"j": time.Hour},
		},
		{Name: "another was first", Before: [][]any{{"SET", "j", "other", "EX", 60}}, Keys: keys, Args: args, Reply: 0},
		{Name: "it ran before: the TTL stays", Before: [][]any{{"SET", "j", "mine", "EX", 60}}, Keys: keys, Args: args, Reply: 1},
	}
}
