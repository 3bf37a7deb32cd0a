package storage

import (
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/opgrant/opgrant/storage/internal/luacover"
)

func (t sessionTables) issueCases() []luacover.Case {
	fresh := fullRecord{session: session{version: recordVersion, created: t.now, body: []byte("request")}}
	login := fresh.with(func(r *fullRecord) {
		r.current, r.currentExpires, r.number, r.access = refresh1, t.in(24), 1, map[string]int64{access1: t.in(1)}
	})
	many := t.numbered().with(func(r *fullRecord) { r.access = t.hashes(maxListed-1, 5) })
	self := t.numbered().with(func(r *fullRecord) { r.access, r.selfContained, r.accessExpires = nil, true, t.in(30) })
	eight := strings.Repeat("used----0000", 7)
	// The session script rounds times up, to 10 ms, so that no token ends too early.
	accessTTL := func(members string, ttl int64) string {
		return strings.Replace(t.step(members), fmt.Sprint(`"access_ttl":`, hourMS), fmt.Sprint(`"access_ttl":`, ttl), 1)
	}
	odd := accessTTL(`"create":true,"self_contained":true,`, hourMS+1)
	// An access token that outlasts the refresh token by no more than a minute needs no expiry of its own.
	outlasting := func(name string, by int64, expires int64) luacover.Case {
		return luacover.Case{
			Name: name, Keys: sessionKeys, Reply: reply("ok", ""), TTL: ttls("s", 24),
			Args: []any{
				accessTTL(`"create":true,"self_contained":true,"number":1,`, 24*hourMS+by), rawName, "", "request", refresh1, access1, "", "", "", "",
			},
			After: luacover.State{"s": showRecord(fresh.with(func(r *fullRecord) {
				r.selfContained, r.current, r.currentExpires, r.number, r.accessExpires = true, refresh1, t.in(24), 1, expires
			}).encode())},
		}
	}
	return []luacover.Case{
		outlasting("one that is self-contained, and outlasts the refresh token by a minute", 60_000, 0),
		outlasting("one that is self-contained, and outlasts the refresh token by more", 60_010, t.in(24)+60_010),
		{
			Name: "a login", Before: [][]any{setKey("user", userRecord1)}, Keys: sessionKeys, Reply: reply("ok", ""), TTL: ttls("s", 24, "index", 24),
			Args: []any{
				t.step(`"user":"one","create":true,"list":true,"number":1,`), rawName, "", "request", refresh1, access1, "clien", access0, "id", "",
			},
			After: t.after(login.with(func(r *fullRecord) {
				r.generation, r.clientGeneration, r.parent, r.id = alice, "clien", access0, "id"
			}), 24, luacover.State{"user": userRecord1}),
		},
		{
			Name: "a login whose TTL has a bound", Keys: sessionKeys, Reply: reply("ok", ""), TTL: ttls("s", 12, "index", 12),
			Args: t.issue(fmt.Sprintf(`"create":true,"list":true,"number":1,"max":%d,`, 12*hourMS), "", refresh1, access1),
			After: t.after(login.with(func(r *fullRecord) {
				r.currentExpires, r.ends = t.in(12), t.in(12)
			}), 12, nil),
		},
		{
			Name: "a login whose bound is less than its tokens would last", Keys: sessionKeys, Reply: reply("ok", ""), TTL: map[string]time.Duration{"s": time.Hour / 2, "index": time.Hour / 2},
			Args: t.issue(fmt.Sprintf(`"create":true,"list":true,"number":1,"max":%d,`, hourMS/2), "", refresh1, access1),
			After: luacover.State{"index": luacover.Scores{rawName: float64((t.now + hourMS/2 + 999) / 1000)}, "s": showRecord(login.with(func(r *fullRecord) {
				r.ends = t.now + hourMS/2
				r.currentExpires, r.access = r.ends, map[string]int64{access1: r.ends}
			}).encode())},
		},
		{
			Name: "a login in the instant after the subject's sessions ended", Before: [][]any{setKey("ended", fmt.Sprint(t.now+3))},
			Keys: sessionKeys, Args: t.issue(`"create":true,`, "", "", access1), Reply: reply("ok", ""), TTL: ttls("s", 1),
			After: luacover.State{"ended": fmt.Sprint(t.now + 3), "s": showRecord(fresh.with(func(r *fullRecord) {
				r.created, r.access = t.now+10, map[string]int64{access1: t.in(1)}
			}).encode())},
		},
		{
			Name: "an access token that is self-contained, without a refresh token", Keys: sessionKeys, Reply: reply("ok", ""), TTL: ttls("s", 1),
			Args: []any{odd, rawName, "", "request", "", access1, "", "", "", ""},
			After: luacover.State{"s": showRecord(fresh.with(func(r *fullRecord) {
				r.selfContained, r.accessExpires = true, t.in(1)+10
			}).encode())},
		},
		{
			Name: "one that is self-contained, which expires before the refresh token", Keys: sessionKeys, Reply: reply("ok", ""),
			TTL: ttls("s", 24), Args: t.issue(`"create":true,"self_contained":true,"number":1,`, "", refresh1, access1),
			After: luacover.State{"s": showRecord(fresh.with(func(r *fullRecord) {
				r.selfContained, r.current, r.currentExpires, r.number = true, refresh1, t.in(24), 1
			}).encode())},
		},
		{
			Name: "one that is self-contained, after one that lasts longer", Keys: sessionKeys, Reply: reply("ok", ""), TTL: ttls("s", 30, "index", 30),
			Before: t.before(self), Args: t.issue(`"list":true,"self_contained":true,"number":1,`, "", refresh1, access1), After: t.after(self, 30, nil),
		},
		{
			Name: "one that is listed all the same", Keys: sessionKeys, Reply: reply("ok", ""), TTL: ttls("s", 24, "index", 24),
			Before: t.before(t.numbered().with(func(r *fullRecord) { r.listed = true })),
			Args:   t.issue(`"list":true,"self_contained":true,`, "", "", access1),
			After:  t.after(t.numbered().with(func(r *fullRecord) { r.listed = true }), 24, nil),
		},
		{
			Name: "expired access tokens are forgotten", Keys: sessionKeys, Reply: reply("ok", ""), TTL: ttls("s", 24, "index", 24),
			Before: t.before(t.numbered().with(func(r *fullRecord) {
				r.access = map[string]int64{access0: t.in(0), access1: t.in(1)}
				r.revoked = map[string]int64{access0: t.in(0), access1: t.in(1)}
			})),
			Args: t.issue(`"list":true,`, "", "", access2),
			After: t.after(t.numbered().with(func(r *fullRecord) {
				r.access = map[string]int64{access1: t.in(1), access2: t.in(1)}
				r.revoked = map[string]int64{access1: t.in(1)}
			}), 24, nil),
		},
		{
			Name: "one access token too many, listed: those end that expire first", Keys: sessionKeys, Args: t.issue(`"list":true,`, "", "", access2),
			Before: t.before(many.with(func(r *fullRecord) { r.access[access0], r.access[access1] = t.in(1), t.in(2) })),
			Reply:  reply("ok", access0+access1), Again: reply("ok", ""), TTL: ttls("s", 24, "index", 24),
			After: t.after(many.with(func(r *fullRecord) { r.access[access2] = t.in(1) }), 24, nil),
		},
		{
			Name: "another, of as many as a session lists", Keys: sessionKeys, Args: t.issue(`"list":true,`, "", "", access2), Reply: reply("ok", ""),
			Before: t.before(many.with(func(r *fullRecord) { r.access[access0] = t.in(0) })), TTL: ttls("s", 24, "index", 24),
			After: t.after(many.with(func(r *fullRecord) { r.access[access2] = t.in(1) }), 24, nil),
		},
		{
			Name: "the session lasts as long as its last access token", Keys: sessionKeys, Reply: reply("ok", ""), TTL: ttls("s", 48, "index", 48),
			Before: t.before(t.numbered().with(func(r *fullRecord) { r.access = map[string]int64{access1: t.in(48)} })),
			Args:   t.issue(`"list":true,`, "", "", ""),
			After:  t.after(t.numbered().with(func(r *fullRecord) { r.access = map[string]int64{access1: t.in(48)} }), 48, nil),
		},
		{
			Name: "a refresh token without a number replaces another, which is remembered", Keys: sessionKeys, Reply: reply("ok", ""),
			TTL:    ttls("s", 24, "index", 24),
			Before: t.before(t.numbered().with(func(r *fullRecord) { r.current, r.number, r.used = refresh0, 0, eight })),
			Args:   t.issue(`"list":true,`, "", refresh2, ""),
			After: t.after(t.numbered().with(func(r *fullRecord) {
				r.current, r.number, r.used = refresh2, 0, eight+refresh0
			}), 24, nil),
		},
		{
			Name: "one too many of those that are remembered", Keys: sessionKeys, Reply: reply("ok", "first---0000"), Again: reply("ok", ""),
			TTL: ttls("s", 24, "index", 24),
			Before: t.before(t.numbered().with(func(r *fullRecord) {
				r.current, r.number, r.used = refresh0, 0, "first---0000"+eight
			})),
			Args: t.issue(`"list":true,`, "", refresh2, ""),
			After: t.after(t.numbered().with(func(r *fullRecord) {
				r.current, r.number, r.used = refresh2, 0, eight+refresh0
			}), 24, nil),
		},
		{
			Name: "a numbered one replaces another", Keys: sessionKeys, Reply: reply("ok", ""), TTL: ttls("s", 24, "index", 24),
			Before: t.before(t.numbered()), Args: t.issue(`"list":true,"number":2,`, "", refresh2, ""),
			After: t.after(t.numbered().with(func(r *fullRecord) { r.current, r.number = refresh2, 2 }), 24, nil),
		},
		{
			Name: "a repetition after the session was refreshed", Before: t.before(t.numbered().with(func(r *fullRecord) { r.number = 2 })),
			Keys: sessionKeys, Args: t.issue(`"list":true,"number":1,`, "", refresh0, access0), Reply: reply("ok", ""),
		},
		{
			Name: "a repetition of a token without a number, after the session was refreshed", Keys: sessionKeys, Reply: reply("ok", ""),
			Before: t.before(t.numbered().with(func(r *fullRecord) { r.current, r.number, r.used = refresh2, 0, refresh0 })),
			Args:   t.issue(`"list":true,`, "", refresh0, access0),
		},
		{
			Name: "nothing is left that is valid", Keys: sessionKeys, Reply: reply("ok", refresh1), Again: reply("none"), After: luacover.State{},
			Before: t.before(t.numbered().with(func(r *fullRecord) { r.currentExpires, r.access = t.now, nil })), Args: t.issue("", "", "", ""),
		},
		{
			Name: "a login within the limit of sessions", Keys: sessionKeys, Reply: reply("ok", ""), TTL: ttls("s", 24, "index", 24),
			Before: [][]any{{"ZADD", "index", t.score(2), limited + "session-00000002", t.score(0), "session-expiring"}},
			Args:   t.issue(`"create":true,"list":true,"number":1,"limit":2,"suffix":":client",`, limited, refresh1, access1),
			After: luacover.State{
				"s": showRecord(login.encode()),
				"index": luacover.Scores{
					limited + "session-00000002": t.score(2), limited + rawName: t.score(24), "session-expiring": t.score(0),
				},
			},
		},
		t.evictCase(login),
	}
}

// evictCase is about a limit of two sessions: the others of the subject at the client, one of them from the version before, are
// three, so that two lose their refresh token. A member whose session an interrupted run has not written does not count.
func (t sessionTables) evictCase(login fullRecord) luacover.Case {
	const (
		soon, later, evicted, other = "session-0000soon", "session-000later", "session-evicted-", "session-000other"
		unwritten                   = "session-unwritte"
		oldSoon, oldOther           = "name-of-an-older-one-1", "name-of-another-one--1"
	)
	member := func(name string) string { return limited + name }
	return luacover.Case{
		Name: "a login beyond the limit of sessions", Keys: sessionKeys, Reply: reply("ok", ""),
		Before: [][]any{
			{
				"ZADD", "index", t.score(-1), "session-expired-", t.score(2), member(soon), t.score(9), member(later), t.score(1), member(evicted),
				t.score(1), "mark-00000000002" + other, t.score(1), rawName, t.score(1), member(rawName), t.score(1), member(unwritten),
			},
			// Their keys are those of this session with another name at the end.
			{"MSET", soon, "2", later, "9", oldSoon, "3"},
			{"ZADD", "evicted", t.score(-1), "session-expired-", t.score(1), evicted},
			{
				"ZADD", "oldindex", t.in(3), oldSoon + ":client", t.in(4), oldOther + ":other", t.in(1), oldName + ":client",
			},
		},
		Args: t.issue(`"create":true,"list":true,"number":1,"limit":2,"suffix":":client",`, limited, refresh1, access1),
		TTL:  ttls("s", 24, "index", 24, "evicted", 2, "oldevicted", 4),
		After: luacover.State{
			"s": showRecord(login.encode()),
			"index": luacover.Scores{
				member(soon): t.score(2), member(later): t.score(9), member(evicted): t.score(1), "mark-00000000002" + other: t.score(1),
				member(rawName): t.score(24), member(unwritten): t.score(1),
			},
			soon: "2", later: "9", oldSoon: "3",
			"evicted":  luacover.Scores{evicted: t.score(1), soon: t.score(2)},
			"oldindex": luacover.Scores{oldSoon + ":client": float64(t.in(3)), oldOther + ":other": float64(t.in(4)), oldName + ":client": float64(t.in(1))},
			"oldevicted": luacover.Scores{
				oldSoon: float64(t.in(3)),
			},
		},
	}
}

func (t sessionTables) codeCases() []luacover.Case {
	keys := append(sessionKeys[:len(sessionKeys):len(sessionKeys)], "code")
	args := func(members, refresh, access string) []any {
		return append(t.issue(members, "", refresh, access)[:9:9], codeMark)
	}
	create := args(`"create":true,`, "", access1)
	code := func(state, mark string) []any {
		return []any{"SET", "code", t.code(state, mark, "gen-01", -1), "EX", 24 * 3600}
	}
	r := fullRecord{session: session{version: recordVersion, created: t.now, body: []byte("request")}}
	there := setKey("s", r.with(func(r *fullRecord) { r.access = map[string]int64{access1: t.in(1)} }).encode())
	session := func(change func(r *fullRecord)) luacover.State {
		return luacover.State{"code": t.code("u", codeMark, "gen-01", -1), "s": showRecord(r.with(change).encode())}
	}
	listed := session(func(r *fullRecord) { r.access = map[string]int64{access1: t.in(1)} })
	ended := func(ms int64) []any { return setKey("ended", fmt.Sprint(t.in(-1)+ms)) }
	endedBefore := maps.Clone(listed)
	endedBefore["ended"] = fmt.Sprint(t.in(-1) - 1)
	return []luacover.Case{
		{Name: "a code", Before: [][]any{code("o", openMark)}, Keys: keys, Args: create, Reply: reply("ok", ""), After: listed, TTL: ttls("s", 1, "code", 24)},
		{
			Name: "a code for a refresh token", Before: [][]any{code("o", openMark)}, Keys: keys, Reply: reply("ok", ""), TTL: ttls("s", 24, "code", 24),
			Args:  args(`"create":true,"number":1,`, refresh1, ""),
			After: session(func(r *fullRecord) { r.current, r.currentExpires, r.number = refresh1, t.in(24), 1 }),
		},
		{
			Name: "a code that this redemption has used", Before: [][]any{code("u", codeMark), there}, Keys: keys, Args: create, Reply: reply("ok", ""),
			After: listed, TTL: ttls("s", 1, "code", 24),
		},
		{
			Name: "a code that this redemption has used, for a session that has ended since", Before: [][]any{code("u", codeMark)}, Keys: keys,
			Args: create, Reply: reply("ok", ""),
		},
		{
			Name: "the subject's sessions ended before the code was issued", Before: [][]any{code("o", openMark), ended(-1)}, Keys: keys, Args: create,
			Reply: reply("ok", ""), After: endedBefore, TTL: ttls("s", 1, "code", 24),
		},
		{
			Name: "the subject's sessions have ended since the code was issued", Before: [][]any{code("o", openMark), ended(0)}, Keys: keys,
			Args: create, Reply: reply("none"),
		},
		{Name: "a code that another has used", Before: [][]any{code("u", "redeemed-0000002")}, Keys: keys, Args: create, Reply: reply("code")},
		{
			Name: "a code that has expired, and is remembered", Before: [][]any{code("o", openMark)}, Keys: keys, Reply: reply("none"),
			Args: args(fmt.Sprintf(`"create":true,"list":true,"memory":%d,`, 24*hourMS), "", access1),
		},
		{Name: "not a code", Keys: keys, Args: create, Reply: reply("none")},
		{Name: "a code of a later version", Before: [][]any{setKey("code", "\x02o later")}, Keys: keys, Args: create, Reply: reply("bad")},
		{Name: "a code in another state", Before: [][]any{code("x", openMark)}, Keys: keys, Args: create, Reply: reply("bad")},
	}
}
