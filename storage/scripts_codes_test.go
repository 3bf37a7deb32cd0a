package storage

import (
	"fmt"
	"strings"

	"github.com/opgrant/opgrant/storage/internal/luacover"
)

const codeMark = "redeemed-0000001" // of a redemption

var openMark = strings.Repeat("\x00", markLength)

// code is the record of a code that was issued in so many hours. See codeRecord.
func (t sessionTables) code(state, mark, generation string, hours int64) string {
	return t.codeAt(state, mark, generation, t.in(hours))
}

func (t sessionTables) codeAt(state, mark, generation string, created int64) string {
	return fmt.Sprintf("\x01%s%s%c%s%013dbody", state, mark, len(generation), generation, created)
}

func (t sessionTables) codes() []luacover.Script {
	return []luacover.Script{
		{Name: "codeStoreScript", Source: codeStoreScript.Source(), Parts: []string{"codes_store.lua"}, Completes: true, Cases: t.codeStoreCases()},
		{Name: "codeRedeemScript", Source: codeRedeemScript.Source(), Parts: []string{"codes_redeem.lua"}, Completes: true, Cases: t.codeRedeemCases()},
		{Name: "deleteRequestScript", Source: deleteRequestScript.Source(), Completes: true, Cases: []luacover.Case{
			{
				Name: "a request", Before: [][]any{{"SET", "pkce", "\x01obody", "EX", 3600}}, Keys: []string{"pkce"}, Reply: 1,
				After: luacover.State{"pkce": "\x01dbody"}, TTL: ttls("pkce", 1),
			},
			{Name: "there is none", Keys: []string{"pkce"}, Reply: 1},
		}},
		{Name: "swapFieldScript", Source: swapFieldScript.Source(), Completes: true, Cases: swapFieldCases()},
	}
}

func (t sessionTables) codeStoreCases() []luacover.Case {
	keys, args := []string{"code", "user", "ended"}, []any{"body", 24 * hourMS}
	stored := func(name, generation string, created int64, more luacover.State, before ...[]any) luacover.Case {
		after := luacover.State{"code": t.codeAt("o", openMark, generation, created)}
		for k, v := range more {
			after[k] = v
		}
		return luacover.Case{Name: name, Before: before, Keys: keys, Args: args, Reply: "ok", After: after, TTL: ttls("code", 24)}
	}
	refused := func(name, result string, before ...[]any) luacover.Case {
		return luacover.Case{Name: name, Before: before, Keys: keys, Args: args, Reply: result}
	}
	ended := fmt.Sprint(t.now)
	return []luacover.Case{
		stored("the subject is not a user", "", t.now, nil),
		stored("a user", "gen-01", t.now, luacover.State{"user": userRecord1}, setKey("user", userRecord1)),
		stored("a user without a generation", "", t.now, luacover.State{"user": `{"v":1}`}, setKey("user", `{"v":1}`)),
		stored("in the instant in which the subject's sessions ended", "", t.now+1, luacover.State{"ended": ended}, setKey("ended", ended)),
		stored("an open one is replaced", "", t.now, nil, []any{"SET", "code", t.code("o", openMark, "gen-01", -1), "EX", 3600}),
		refused("a code in another state is not", "bad", []any{"SET", "code", t.code("x", openMark, "gen-01", -1), "EX", 3600}),
		refused("a used one is not", "code", []any{"SET", "code", t.code("u", codeMark, "gen-01", -1), "EX", 3600}),
		refused("a code of a later version", "bad", setKey("code", "\x02o later")),
		refused("a user of a later version", "bad", setKey("user", `{"v":2}`)),
		refused("a user that is not an object", "bad", setKey("user", `1`)),
		{Name: "a user that is not JSON", Before: [][]any{setKey("user", "?")}, Keys: keys, Args: args, Error: "ERR"},
	}
}

// codeRedeemCases are about codes that are remembered for an hour after they have expired.
func (t sessionTables) codeRedeemCases() []luacover.Case {
	keys, args := []string{"code", "user", "ended"}, []any{codeMark, hourMS}
	const active = `{"v":1,"gen":"gen-01","active":true}`
	code := func(state, mark, generation string) []any {
		return []any{"SET", "code", t.code(state, mark, generation, -1), "EX", 24 * 3600}
	}
	open := code("o", openMark, "gen-01")
	redeemed := func(name, generation string, more luacover.State, before ...[]any) luacover.Case {
		after := luacover.State{"code": t.code("u", codeMark, generation, -1)}
		for k, v := range more {
			after[k] = v
		}
		return luacover.Case{Name: name, Before: before, Keys: keys, Args: args, Reply: "ok", After: after, TTL: ttls("code", 24)}
	}
	refused := func(name, result string, before ...[]any) luacover.Case {
		return luacover.Case{Name: name, Before: before, Keys: keys, Args: args, Reply: result}
	}
	user, ended := setKey("user", active), fmt.Sprint(t.in(-1)-1)
	return []luacover.Case{
		redeemed("a code", "gen-01", luacover.State{"user": active}, open, user),
		redeemed("the subject is not a user", "", nil, code("o", openMark, "")),
		redeemed("a user without a generation", "", luacover.State{"user": `{"v":1,"active":true}`}, code("o", openMark, ""),
			setKey("user", `{"v":1,"active":true}`)),
		redeemed("the subject's sessions ended before it was issued", "", luacover.State{"ended": ended}, code("o", openMark, ""), setKey("ended", ended)),
		refused("this redemption has used it", "ok", code("u", codeMark, "gen-01")),
		refused("another has used it", "code", code("u", "redeemed-0000002", "gen-01")),
		refused("another has used it, and it has expired", "code", []any{"SET", "code", t.code("u", "redeemed-0000002", "gen-01", -1), "EX", 60}),
		refused("this redemption has used it, and the user was disabled since", "ok", code("u", codeMark, "gen-01"),
			setKey("user", `{"v":1,"gen":"gen-01","active":false}`)),
		refused("a generation that begins like the user's", "none", open, setKey("user", `{"v":1,"gen":"gen-012","active":true}`)),
		refused("a user where there was none", "none", code("o", openMark, ""), user),
		refused("not a code", "none"),
		refused("a code of a later version", "bad", setKey("code", "\x02o later")),
		refused("a code in another state", "bad", code("x", openMark, "gen-01"), user),
		refused("it has expired", "none", []any{"SET", "code", t.code("o", openMark, "gen-01", -1), "EX", 1800}, user),
		refused("a user of a later version", "bad", open, setKey("user", `{"v":2}`)),
		refused("a user that is not an object", "bad", open, setKey("user", `1`)),
		refused("the user is disabled", "none", open, setKey("user", `{"v":1,"gen":"gen-01","active":false}`)),
		refused("another generation of the user", "none", open, setKey("user", `{"v":1,"gen":"gen-02","active":true}`)),
		refused("the subject is not a user any more", "none", open),
		refused("the subject's sessions have ended since it was issued", "none", open, user, setKey("ended", fmt.Sprint(t.in(-1)))),
	}
}

func swapFieldCases() []luacover.Case {
	keys := []string{"h"}
	type hash = luacover.Hash
	before := [][]any{{"HSET", "h", "a", "old", "b", "kept"}}
	return []luacover.Case{
		{
			Name: "as it was read", Before: before, Keys: keys, Args: []any{"a", "old", "new"}, Reply: 1,
			After: luacover.State{"h": hash{"a": "new", "b": "kept"}},
		},
		{Name: "there is none yet", Keys: keys, Args: []any{"a", "", "new"}, Reply: 1, After: luacover.State{"h": hash{"a": "new"}}},
		{Name: "removed", Before: before, Keys: keys, Args: []any{"a", "old", ""}, Reply: 1, After: luacover.State{"h": hash{"b": "kept"}}},
		{Name: "it has changed", Before: before, Keys: keys, Args: []any{"a", "older", "new"}, Reply: 0},
		{Name: "it was removed", Before: before, Keys: keys, Args: []any{"c", "old", "new"}, Reply: 0},
		{Name: "it ran before", Before: before, Keys: keys, Args: []any{"b", "older", "kept"}, Reply: 1},
	}
}
