package storage

import (
	"encoding/json"
	"fmt"
	"strings"

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
		refused("not a token of the session", reply("none"), args(`"presented":3,`, refresh0, refresh2, ""), t.before(first)...),
		refused("not a token of the session, with the number of the current one", reply("none"), args(`"presented":1,`, refresh0, refresh2, ""),
			t.before(first)...),
		refused("not a token of a session with numbered ones", reply("none"), args("", refresh0, refresh2, ""), t.before(first)...),
		refused("not one of the used tokens in an old record", reply("none"), args("", refresh0, refresh2, ""),
			t.before(first.with(func(r *fullRecord) { r.oldUsed, r.oldUsedUntil = short1, t.in(1) }))...),
		refused("not a token of the session, without a number", reply("none"), args("", "refresh-0000none", refresh2, ""), t.before(unnumbered)...),
		refused("it ran before, and its reply was lost", reply("ok", ""), rotate, t.before(second)...),
		refused("within the grace", reply("replay", "answer"), args(`"presented":1,"number":2,`, refresh1, "refresh-0000late", ""),
			t.before(second, answer("answer", 1))...),
		refused("within the grace, without an answer", reply("busy"), presentOld, t.before(second, answer("", 1))...),
		refused("an answer that is not given out yet", reply("busy"), args(`"presented":1,"withheld":36000000,`, refresh1, "", ""),
			t.before(second, answer("answer", 20))...),
		refused("an answer that is given out by now", reply("replay", "answer"), args(`"presented":1,"withheld":36000000,`, refresh1, "", ""),
			t.before(second, answer("answer", 1))...),
		refused("used", reply("used", ""), presentOld, t.before(second)...),
		refused("used, known by its hash", reply("used", ""), args("", refresh0, refresh2, ""), t.before(unnumbered)...),
		refused("used, known by its name in an old record", reply("used", ""), args("", "refresh-0000none", refresh2, ""),
			t.before(first.with(func(r *fullRecord) { r.oldUsed, r.oldUsedUntil = short1+short0, t.in(1) }))...),
		{
			Name: "reuse ends the session", Before: t.before(second.with(func(r *fullRecord) { r.access = map[string]int64{access1: t.in(1)} })), Keys: keys,
			Args: args(`"presented":1,"end_on_reuse":true,`, refresh1, "", ""), Reply: reply("used", access1+refresh2), Again: reply("none"),
			After: luacover.State{},
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

func (t sessionTables) revokeCases() []luacover.Case {
	args := func(members, access, refresh string) []any {
		return []any{t.step(members), rawName, "", access, refresh, "short-name-1"}
	}
	full := t.numbered().with(func(r *fullRecord) {
		r.current, r.number, r.used, r.oldUsed, r.oldUsedUntil = refresh2, 0, refresh0+refresh1, "short-name-0short-name-1short-name-2", t.in(5)
		r.access = map[string]int64{access1: t.in(1), access2: t.in(2)}
	})
	self := t.numbered().with(func(r *fullRecord) { r.access, r.selfContained, r.accessExpires = nil, true, t.in(30) })
	// A revocation does not know whether the session is in the index, and leaves it there as it is.
	changed := func(name string, before fullRecord, args, want []any, change func(r *fullRecord)) luacover.Case {
		return luacover.Case{
			Name: name, Before: t.before(before), Keys: sessionKeys, Args: args, Reply: want, TTL: ttls("s", 24, "index", 24),
			After: t.after(before.with(change), 24, nil),
		}
	}
	again := func(c luacover.Case, reply []any) luacover.Case {
		c.Again = reply
		return c
	}
	lasting := func(c luacover.Case, hours int) luacover.Case {
		c.TTL = ttls("s", hours, "index", 24)
		return c
	}
	return []luacover.Case{
		{Name: "no session", Keys: sessionKeys, Args: args("", access1, ""), Reply: reply("none")},
		again(changed("an access token", full, args("", access1, ""), reply("ok", access1), func(r *fullRecord) {
			r.access = map[string]int64{access2: t.in(2)}
		}), reply("ok", "")),
		changed("an access token that is not there", full, args("", access0, ""), reply("ok", ""), func(*fullRecord) {}),
		lasting(changed("one that is self-contained", self, args("", access1, ""), reply("ok", ""), func(r *fullRecord) {
			r.revoked = map[string]int64{access1: t.in(30)}
		}), 30),
		changed("one that is self-contained, which expires with the refresh token", self.with(func(r *fullRecord) { r.accessExpires = 0 }),
			args("", access1, ""), reply("ok", ""), func(r *fullRecord) { r.revoked = map[string]int64{access1: t.in(24)} }),
		changed("expired access tokens are forgotten", full.with(func(r *fullRecord) { r.access[access0] = t.now }), args("", "", refresh1),
			reply("ok", refresh1), func(r *fullRecord) {
				r.used, r.oldUsed = refresh0, "short-name-0short-name-2"
				delete(r.access, access0)
			}),
		lasting(changed("another that is self-contained", self.with(func(r *fullRecord) { r.revoked = map[string]int64{access1: t.in(30)} }),
			args("", access2, ""), reply("ok", ""), func(r *fullRecord) {
				r.revoked = map[string]int64{access1: t.in(30), access2: t.in(30)}
			}), 30),
		lasting(changed("the current refresh token", full, args("", "", refresh2), reply("ok", refresh2), func(r *fullRecord) {
			r.current, r.currentExpires, r.oldUsed = "", 0, "short-name-0short-name-2"
		}), 2),
		changed("a used refresh token", full, args("", "", refresh1), reply("ok", refresh1), func(r *fullRecord) {
			r.used, r.oldUsed = refresh0, "short-name-0short-name-2"
		}),
		changed("a used one, in a session of this version", t.numbered().with(func(r *fullRecord) { r.used = refresh1 + refresh0 }),
			args("", "", refresh0), reply("ok", refresh0), func(r *fullRecord) { r.used = refresh1 }),
		lasting(again(changed("all refresh tokens", full, args(`"end_refresh":true,`, "", ""), reply("ok", refresh0+refresh1+refresh2), func(r *fullRecord) {
			r.current, r.currentExpires, r.used, r.oldUsed = "", 0, "", ""
		}), reply("ok", "")), 2),
		again(changed("all access tokens", full.with(func(r *fullRecord) { delete(r.access, access2) }), args(`"end_access":true,`, "", ""),
			reply("ok", access1), func(r *fullRecord) { r.access = nil }), reply("ok", "")),
		changed("all access tokens, which are self-contained", self.with(func(r *fullRecord) { r.accessExpires = t.in(5) }), args(`"end_access":true,`, "", ""),
			reply("ok", ""), func(r *fullRecord) { r.selfContained, r.listed, r.accessExpires = false, true, 0 }),
		changed("used tokens of the version before that have expired are forgotten", full.with(func(r *fullRecord) { r.oldUsedUntil = t.now }),
			args("", access0, ""), reply("ok", ""), func(r *fullRecord) { r.oldUsed, r.oldUsedUntil = "", 0 }),
		{
			Name: "the last token ends the session", Keys: sessionKeys,
			Before: t.before(t.numbered().with(func(r *fullRecord) { r.access = nil }), []any{"ZADD", "evicted", t.score(24), rawName}),
			Args:   args("", "", refresh1), Reply: reply("ok", refresh1), Again: reply("none"), After: luacover.State{},
		},
	}
}

// oldRecordCases are about sessions that the version before has written, which the first change moves.
func (t sessionTables) oldRecordCases() []luacover.Case {
	args := func(access string) []any { return []any{t.step(""), rawName, "", access, "", ""} }
	old := func(members map[string]any) string {
		members["v"], members["at"], members["d"] = 1, t.in(-5), "request"
		raw, _ := json.Marshal(members)
		return string(raw)
	}
	all := old(map[string]any{
		"g": "gen-01", "cg": "-_aZ09zA", "j": true, "ae": t.in(1), "x": t.in(90), "id": "id", "f": text64(access0), "stored": true,
		"c": text64(refresh1), "ce": t.in(24), "p": text64(refresh0), "u": "short-name-0", "pe": t.in(7),
		"a": map[string]int64{text64(access1): t.in(1), text64(access2): t.in(2)}, "r": map[string]int64{text64(access0): t.in(1)},
	})
	user := setKey("user", userRecord1)
	const other = "name-of-another-one--1:client"
	oldIndex := []any{"ZADD", "oldindex", t.in(24), other, t.in(24), oldName + ":client"}
	few := old(map[string]any{"a": map[string]int64{text64(access1): t.in(1), text64(access2): t.in(2)}})
	moved := fullRecord{session: session{
		version: recordVersion, created: t.in(-5), id: ownTag + oldName, access: map[string]int64{access2: t.in(2)}, body: []byte(few),
	}}
	return []luacover.Case{
		{
			Name: "a whole old record, evicted and in the index", Keys: sessionKeys, Args: args(access1), Reply: reply("ok", access1),
			Before: [][]any{
				{"SET", "old", all, "EX", 24 * 3600}, user, oldIndex, {"ZADD", "oldevicted", t.in(24), oldName, t.in(24), "name-of-another-one--1"},
			},
			TTL: ttls("s", 24, "index", 24, "evicted", 24), Once: "the token is not listed any more, and is noted like a self-contained one",
			After: luacover.State{
				"s": showRecord(fullRecord{listed: true, oldUsedUntil: t.in(24), session: session{
					version: recordVersion, created: t.in(-5), ends: t.in(90), id: "id", generation: alice, clientGeneration: rawGeneration("-_aZ09zA"),
					parent: access0, current: refresh1, currentExpires: t.in(24), used: refresh0, oldUsed: "short-name-0",
					access: map[string]int64{access2: t.in(2)}, selfContained: true, revoked: map[string]int64{access0: t.in(1)}, body: []byte(all),
				}}.encode()),
				"index": luacover.Scores{rawName: t.score(24)}, "evicted": luacover.Scores{rawName: t.score(24)}, "user": userRecord1,
				"oldindex": luacover.Scores{other: float64(t.in(24))}, "oldevicted": luacover.Scores{"name-of-another-one--1": float64(t.in(24))},
			},
		},
		{
			Name: "an old record with little, not in the index", Keys: sessionKeys, Args: args(access1), Reply: reply("ok", access1),
			Again: reply("ok", ""), Before: [][]any{setKey("old", few), {"ZADD", "oldindex", t.in(24), other}}, TTL: ttls("s", 2),
			After: luacover.State{"s": showRecord(moved.encode()), "oldindex": luacover.Scores{other: float64(t.in(24))}},
		},
		{
			Name: "an old record whose last token is revoked", Keys: sessionKeys, Args: args(access1), Reply: reply("ok", access1),
			Again: reply("none"), Before: [][]any{setKey("old", old(map[string]any{"a": map[string]int64{text64(access1): t.in(1)}})), oldIndex},
			After: luacover.State{"oldindex": luacover.Scores{other: float64(t.in(24))}},
		},
		{
			Name: "an old record that was moved, and not removed", Keys: sessionKeys, Args: args(access2), Reply: reply("ok", access2),
			Again: reply("none"), After: luacover.State{"oldindex": luacover.Scores{other: float64(t.in(24))}},
			Before: [][]any{setKey("s", moved.encode()), setKey("old", few), oldIndex, {"ZADD", "oldevicted", t.in(24), oldName}},
		},
		{
			Name: "used refresh tokens of an old record without a current one have expired", Keys: sessionKeys, Args: args(access1),
			Reply: reply("ok", access1), Again: reply("ok", ""), TTL: ttls("s", 2),
			Before: [][]any{setKey("old", strings.TrimSuffix(few, "}")+`,"u":"short-name-0"}`)},
			After: luacover.State{"s": showRecord(moved.with(func(r *fullRecord) {
				r.body = []byte(strings.TrimSuffix(few, "}") + `,"u":"short-name-0"}`)
			}).encode())},
		},
	}
}

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
				Name: "now", Before: [][]any{setKey("ended", "1")}, Keys: []string{"ended"}, Args: []any{24 * hourMS}, Reply: 1,
				After: luacover.State{"ended": fmt.Sprint(t.now)}, TTL: ttls("ended", 24),
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
