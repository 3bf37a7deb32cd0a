package storage

import (
	"fmt"

	"github.com/opgrant/opgrant/storage/internal/luacover"
)

func (t sessionTables) refreshCases() []luacover.Case {
	const short0, short1 = "short-name-0", "short-name-1"
	keys := append(sessionKeys[:len(sessionKeys):len(sessionKeys)], "answer")
	// args present a refresh token for the second one and the second access token.
	args := func(members, presented, refresh, access string) []any {
		return []any{t.step(`"list":true,` + members), rawName, "", "rotated", refresh, access, presented, short0, "sealed", ""}
	}
	rotate := args(`"presented":1,"number":2,"retire":true,"grace":36000000,`, refresh1, refresh2, access2)
	first := t.numbered()
	second := t.numbered().with(func(r *fullRecord) {
		r.current, r.number, r.body = refresh2, 2, []byte("rotated")
		r.access = map[string]int64{access1: t.in(1), access2: t.in(1)}
	})
	answer := func(text string, hours int) []any { return []any{"SET", "answer", text, "EX", hours * 3600} }
	refused := func(name string, want []any, args []any, before ...[]any) luacover.Case {
		return luacover.Case{Name: name, Before: before, Keys: keys, Args: args, Reply: want}
	}
	presentOld := args(`"presented":1,`, refresh1, "", "")
	unnumbered := first.with(func(r *fullRecord) { r.current, r.number, r.used = refresh1, 0, refresh0 })
	return []luacover.Case{
		{
			Name: "a rotation", Before: t.before(first), Keys: keys, Args: rotate, Reply: reply("ok", ""),
			After: t.after(second, 24, luacover.State{"answer": "sealed"}), TTL: ttls("s", 24, "index", 24, "answer", 10),
		},
		{
			Name: "a rotation in doubt", Before: t.before(first), Keys: keys, Reply: reply("ok", ""),
			Args:  args(`"presented":1,"number":2,"retire":true,"grace":36000000,"doubt":72000000,`, refresh1, refresh2, access2),
			After: t.after(second, 24, luacover.State{"answer": "sealed"}), TTL: ttls("s", 24, "index", 24, "answer", 20),
		},
		{
			Name: "a rotation without a grace that ends listed access tokens", Before: t.before(first), Keys: keys,
			Reply: reply("ok", access1), Again: reply("ok", ""), TTL: ttls("s", 24, "index", 24),
			Args:  args(`"presented":1,"number":2,"retire":true,"end_listed":true,`, refresh1, refresh2, access2),
			After: t.after(second.with(func(r *fullRecord) { delete(r.access, access1) }), 24, nil),
		},
		{
			Name: "a token without a number is remembered", Before: t.before(unnumbered), Keys: keys, Reply: reply("ok", ""),
			Args: args(`"retire":true,`, refresh1, refresh2, ""), TTL: ttls("s", 24, "index", 24),
			After: t.after(unnumbered.with(func(r *fullRecord) {
				r.current, r.used, r.body = refresh2, refresh0+refresh1, []byte("rotated")
			}), 24, nil),
		},
		{
			Name: "a refresh that keeps the token, and the request", Before: t.before(first.with(func(r *fullRecord) { r.id = "id" })), Keys: keys,
			Reply: reply("ok", ""), TTL: ttls("s", 24, "index", 24),
			Args: []any{t.step(`"list":true,"presented":1,`), rawName, "", "", "", access2, refresh1, short0, "", "ignored"},
			After: t.after(first.with(func(r *fullRecord) {
				r.id, r.access = "id", map[string]int64{access1: t.in(1), access2: t.in(1)}
			}), 24, nil),
		},
		{
			Name: "a refresh with a request ID", Before: t.before(first), Keys: keys, Reply: reply("ok", ""), TTL: ttls("s", 24, "index", 24),
			Args:  []any{t.step(`"list":true,"presented":1,`), rawName, "", "rotated", "", "", refresh1, short0, "", "id"},
			After: t.after(first.with(func(r *fullRecord) { r.id, r.body = "id", []byte("rotated") }), 24, nil),
		},
		{
			Name: "a rotation without a successor: the session stays until the token would have expired", Before: t.before(first), Keys: keys,
			Reply: reply("ok", ""), TTL: ttls("s", 24, "index", 24), Once: "the token is not known as a used one then",
			Args:  args(`"presented":1,"retire":true,`, refresh1, "", access2),
			After: t.after(second.with(func(r *fullRecord) { r.current, r.currentExpires, r.number = "", 0, 0 }), 24, nil),
		},
		refused("no session", reply("none"), rotate),
		refused("an expired token", reply("none"), rotate, t.before(first.with(func(r *fullRecord) { r.currentExpires = t.now }))...),
		refused("the session is evicted", reply("none"), rotate, t.before(first, []any{"ZADD", "evicted", t.score(24), rawName})...),
		refused("a session of the version before that was evicted", reply("none"), rotate,
			setKey("user", userRecord1), []any{"ZADD", "oldevicted", t.in(24), oldName},
			setKey("old", fmt.Sprintf(`{"v":1,"at":%d,"g":"gen-01","c":%q,"ce":%d}`, t.in(-1), text64(refresh1), t.in(24)))),
		refused("not a token of the session", reply("none"), args(`"presented":3,`, refresh0, refresh2, ""), t.before(first)...),
		refused("not a token of the session, with the number of the current one", reply("none"), args(`"presented":1,`, refresh0, refresh2, ""),
			t.before(first)...),
		refused("not a token of a session with numbered ones", reply("none"), args("", refresh0, refresh2, ""), t.before(first)...),
		refused("not one of the used tokens in an old record", reply("none"), args("", refresh0, refresh2, ""),
			t.before(first.with(func(r *fullRecord) { r.oldUsed, r.oldUsedUntil = short1, t.in(1) }))...),
		refused("not a token of the session, without a number", reply("none"), args("", "refresh-none", refresh2, ""), t.before(unnumbered)...),
		refused("it ran before, and its reply was lost", reply("ok", ""), rotate, t.before(second)...),
		refused("within the grace", reply("replay", "answer"), args(`"presented":1,"number":2,`, refresh1, "refresh-late", ""),
			t.before(second, answer("answer", 1))...),
		refused("within the grace, without an answer", reply("busy"), presentOld, t.before(second, answer("", 1))...),
		refused("an answer that is not given out yet", reply("busy"), args(`"presented":1,"withheld":36000000,`, refresh1, "", ""),
			t.before(second, answer("answer", 20))...),
		refused("an answer that is given out by now", reply("replay", "answer"), args(`"presented":1,"withheld":36000000,`, refresh1, "", ""),
			t.before(second, answer("answer", 1))...),
		refused("used", reply("used", ""), presentOld, t.before(second)...),
		refused("used, known by its hash", reply("used", ""), args("", refresh0, refresh2, ""), t.before(unnumbered)...),
		refused("used, known by its name in an old record", reply("used", ""), args("", "refresh-none", refresh2, ""),
			t.before(first.with(func(r *fullRecord) { r.oldUsed, r.oldUsedUntil = short1+short0, t.in(1) }))...),
		{
			Name: "reuse ends the session", Before: t.before(second.with(func(r *fullRecord) { r.access = map[string]int64{access1: t.in(1)} })), Keys: keys,
			Args: args(`"presented":1,"end_on_reuse":true,`, refresh1, "", ""), Reply: reply("used", access1+refresh2), Again: reply("none"),
			After: luacover.State{},
		},
		{
			Name: "reuse ends a session whose number was limited until its last refresh", Keys: keys, Before: [][]any{
				setKey("s", unnumbered.with(func(r *fullRecord) { r.access = nil }).encode()),
				{"ZADD", "index", t.score(20), limited + rawName, t.score(24), rawName, t.score(24), "session-000other"},
			},
			Args: args(`"end_on_reuse":true,`, refresh0, "", ""), Reply: reply("used", refresh0+refresh1), Again: reply("none"),
			After: luacover.State{"index": luacover.Scores{"session-000other": t.score(24)}},
		},
		{
			Name: "reuse ends a session whose number is limited", Keys: keys, Before: [][]any{
				setKey("s", unnumbered.with(func(r *fullRecord) { r.access = nil }).encode()),
				{"ZADD", "index", t.score(24), limited + rawName, t.score(24), limited + "session-000other"},
			},
			Args: args(`"end_on_reuse":true,`, refresh0, "", ""), Reply: reply("used", refresh0+refresh1), Again: reply("none"),
			After: luacover.State{"index": luacover.Scores{limited + "session-000other": t.score(24)}},
		},
	}
}
