package storage

import "github.com/opgrant/opgrant/storage/internal/luacover"

func (t sessionTables) revokeCases() []luacover.Case {
	args := func(members, access, refresh string) []any {
		return []any{t.step(members), rawName, "", access, refresh, "short-name-1"}
	}
	full := t.numbered().with(func(r *fullRecord) {
		r.current, r.number, r.used, r.oldUsed, r.oldUsedUntil = refresh2, 0, refresh0+refresh1, "short-name-0short-name-1short-name-2", t.in(5)
		r.access = map[string]int64{access1: t.in(1), access2: t.in(2)}
	})
	self := t.numbered().with(func(r *fullRecord) { r.access, r.selfContained, r.accessExpires = nil, true, t.in(30) })
	const minute = 60_000 // more than the record tells, by which a self-contained token may last longer
	many := self.with(func(r *fullRecord) { r.revoked = t.hashes(maxListed, 30) })
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
			r.revoked = map[string]int64{access1: t.in(30) + minute}
		}), 30),
		changed("one that is self-contained, which expires with the refresh token", self.with(func(r *fullRecord) { r.accessExpires = 0 }),
			args("", access1, ""), reply("ok", ""), func(r *fullRecord) { r.revoked = map[string]int64{access1: t.in(24) + minute} }),
		changed("expired access tokens are forgotten", full.with(func(r *fullRecord) { r.access[access0] = t.now }), args("", "", refresh1),
			reply("ok", refresh1), func(r *fullRecord) {
				r.used, r.oldUsed = refresh0, "short-name-0short-name-2"
				delete(r.access, access0)
			}),
		lasting(changed("another that is self-contained", self.with(func(r *fullRecord) { r.revoked = map[string]int64{access1: t.in(30)} }),
			args("", access2, ""), reply("ok", ""), func(r *fullRecord) {
				r.revoked = map[string]int64{access1: t.in(30), access2: t.in(30) + minute}
			}), 30),
		lasting(changed("another that is self-contained, of as many as a session lists", self.with(func(r *fullRecord) {
			r.revoked = t.hashes(maxListed-1, 30)
		}), args("", access1, ""), reply("ok", ""), func(r *fullRecord) { r.revoked[access1] = t.in(30) + minute }), 30),
		changed("one too many: all end", many, args("", access1, ""), reply("ok", ""), func(r *fullRecord) {
			r.selfContained, r.listed, r.accessExpires, r.revoked = false, true, 0, nil
		}),
		changed("one more, when the others have expired", self.with(func(r *fullRecord) { r.revoked, r.accessExpires = t.hashes(maxListed, 0), 0 }),
			args("", access1, ""), reply("ok", ""), func(r *fullRecord) { r.revoked = map[string]int64{access1: t.in(24) + minute} }),
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
