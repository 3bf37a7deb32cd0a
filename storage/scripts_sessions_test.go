package storage

import (
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/opgrant/opgrant/storage/internal/luacover"
)

// What the tables of the session scripts are about. Hashes have the length of those in records.
const (
	ownTag  = "tag-of-the-subject---1"
	oldName = "name-of-the-session--1"
	rawName = "session-00000001"
	limited = "mark-00000000001" // of subject and client

	refresh0 = "refresh-00000000"
	refresh1 = "refresh-00000001"
	refresh2 = "refresh-00000002"
	access0  = "access--00000000"
	access1  = "access--00000001"
	access2  = "access--00000002"
)

const hourMS = int64(3600_000)

// sessionTables has times relative to now. Keys have short names.
type sessionTables struct{ now int64 }

var sessionKeys = []string{"s", "old", "index", "evicted", "oldindex", "oldevicted", "user", "ended"}

func (t sessionTables) in(hours int64) int64 { return t.now + hours*hourMS }

// score is that of a session in the index, or of an evicted one.
func (t sessionTables) score(hours int64) float64 { return float64((t.in(hours) + 999) / 1000) }

// step is the JSON argument, with members that end in a comma.
func (t sessionTables) step(members string) string {
	return fmt.Sprintf(`{"own":%q,%s"refresh_ttl":%d,"access_ttl":%d}`, ownTag+oldName, members, 24*hourMS, hourMS)
}

func setKey(key, value string) []any { return []any{"SET", key, value} }

func ttls(pairs ...any) map[string]time.Duration {
	list := make(map[string]time.Duration)
	for i := 0; i < len(pairs); i += 2 {
		list[pairs[i].(string)] = time.Duration(pairs[i+1].(int)) * time.Hour
	}
	return list
}

// before is a state with a session that expires in a day and is in the index.
func (t sessionTables) before(r fullRecord, more ...[]any) [][]any {
	return append([][]any{
		{"SET", "s", r.encode(), "PX", 24 * hourMS}, {"ZADD", "index", t.score(24), rawName}, {"EXPIRE", "index", 24 * 3600},
	}, more...)
}

// after is a state with a session and its index.
func (t sessionTables) after(r fullRecord, hours int64, more luacover.State) luacover.State {
	state := luacover.State{"s": showRecord(r.encode()), "index": luacover.Scores{rawName: t.score(hours)}}
	for k, v := range more {
		state[k] = v
	}
	return state
}

// numbered is a session with its first numbered refresh token and a listed access token.
func (t sessionTables) numbered() fullRecord {
	return fullRecord{session: session{
		version: recordVersion, created: t.in(-1), current: refresh1, currentExpires: t.in(24), number: 1,
		access: map[string]int64{access1: t.in(1)}, body: []byte("request"),
	}}
}

func (r fullRecord) with(change func(r *fullRecord)) fullRecord {
	r.access, r.revoked = maps.Clone(r.access), maps.Clone(r.revoked)
	change(&r)
	return r
}

const (
	userRecord1 = `{"v":1,"rev":"one","gen":"gen-01"}`
	alice       = "gen-01"
)

func (t sessionTables) scripts() []luacover.Script {
	files := func(own string) []string { return []string{"record.lua", "old_record.lua", "session.lua", own} }
	decode := map[string]func(string) any{"s": showRecord}
	return []luacover.Script{
		{
			Name: "issueScript", Source: issueScript.Source(), Parts: files("issue.lua"), Decode: decode, Completes: true,
			Cases: append(append(t.loadCases(), t.issueCases()...), t.codeCases()...),
		},
		{
			Name: "refreshScript", Source: refreshScript.Source(), Parts: files("refresh.lua"), Decode: decode, Completes: true,
			Cases: t.refreshCases(),
		},
		{
			Name: "revokeScript", Source: revokeScript.Source(), Parts: files("revoke.lua"), Decode: decode, Completes: true,
			Cases: append(t.revokeCases(), t.oldRecordCases()...),
		},
	}
}

// issue is the argument list of issue.lua: a refresh and an access token, empty for none.
func (t sessionTables) issue(members, mark, refresh, access string) []any {
	return []any{t.step(members), rawName, mark, "request", refresh, access, "", "", "", ""}
}

func reply(parts ...any) []any { return parts }

// loadCases are about what all session scripts check first.
func (t sessionTables) loadCases() []luacover.Case {
	issue := t.issue(`"user":"one",`, "", "", access2)
	mine := t.numbered().with(func(r *fullRecord) { r.generation = alice })
	refused := func(name, result string, args []any, before ...[]any) luacover.Case {
		return luacover.Case{Name: name, Before: before, Keys: sessionKeys, Args: args, Reply: reply(result)}
	}
	failed := func(name string, before ...[]any) luacover.Case {
		return luacover.Case{Name: name, Before: before, Keys: sessionKeys, Args: issue, Error: "ERR"}
	}
	stored := func(r fullRecord) []any { return setKey("s", r.encode()) }
	user := setKey("user", userRecord1)
	return []luacover.Case{
		refused("no session", "none", issue, user),
		refused("a record of a later version", "bad", issue, user, setKey("s", "\x03 later")),
		refused("an old record of another version", "bad", issue, user, setKey("old", `{"v":2}`)),
		refused("an old record that is not an object", "bad", issue, user, setKey("old", `1`)),
		failed("a record that is cut off", user, setKey("s", mine.encode()[:20])),
		failed("an old record that is not JSON", user, setKey("old", "?")),
		failed("a user that is not JSON", stored(mine), setKey("user", "?")),
		refused("a user of a later version", "bad", issue, stored(mine), setKey("user", `{"v":2}`)),
		refused("a user that is not an object", "bad", issue, stored(mine), setKey("user", `1`)),
		refused("the user was dropped", "user", issue, stored(mine)),
		refused("the user has changed", "user", issue, stored(mine), setKey("user", `{"v":1,"rev":"two","gen":"gen-01"}`)),
		refused("another generation of the user", "none", issue, stored(mine), setKey("user", `{"v":1,"rev":"one","gen":"gen-02"}`)),
		refused("the user has no generation", "none", issue, stored(mine), setKey("user", `{"v":1,"rev":"one","gen":""}`)),
		refused("the subject is not a user any more", "none", t.issue("", "", "", access2), stored(mine)),
		refused("the subject's sessions have ended", "none", issue, user, stored(mine), setKey("ended", fmt.Sprint(t.in(-1)))),
		{
			Name: "the subject's sessions ended before this one", Before: t.before(mine, user, setKey("ended", fmt.Sprint(t.in(-1)-1))),
			Keys: sessionKeys, Args: t.issue(`"user":"one","list":true,`, "", "", access2), Reply: reply("ok", ""), TTL: ttls("s", 24, "index", 24),
			After: t.after(mine.with(func(r *fullRecord) { r.access = map[string]int64{access1: t.in(1), access2: t.in(1)} }), 24,
				luacover.State{"user": userRecord1, "ended": fmt.Sprint(t.in(-1) - 1)}),
		},
		{
			Name: "a generation as it is written today", Keys: sessionKeys, TTL: ttls("s", 1),
			Before: [][]any{setKey("user", `{"v":1,"gen":"-_aZ09zA"}`)}, Args: t.issue(`"create":true,`, "", "", access1), Reply: reply("ok", ""),
			After: luacover.State{"user": `{"v":1,"gen":"-_aZ09zA"}`, "s": showRecord(fullRecord{session: session{
				version: recordVersion, created: t.now, generation: rawGeneration("-_aZ09zA"),
				access: map[string]int64{access1: t.in(1)}, body: []byte("request"),
			}}.encode())},
		},
	}
}

func (t sessionTables) issueCases() []luacover.Case {
	fresh := fullRecord{session: session{version: recordVersion, created: t.now, body: []byte("request")}}
	login := fresh.with(func(r *fullRecord) {
		r.current, r.currentExpires, r.number, r.access = refresh1, t.in(24), 1, map[string]int64{access1: t.in(1)}
	})
	eight := strings.Repeat("used----00000000", 7)
	// The session script rounds times up, to 10 ms, so that no token ends too early.
	odd := strings.Replace(t.step(`"create":true,"self_contained":true,`), fmt.Sprint(`"access_ttl":`, hourMS), `"access_ttl":3600001`, 1)
	return []luacover.Case{
		{
			Name: "a login", Before: [][]any{setKey("user", userRecord1)}, Keys: sessionKeys, Reply: reply("ok", ""), TTL: ttls("s", 24, "index", 24),
			Args: []any{
				t.step(`"user":"one","create":true,"list":true,"number":1,`), rawName, "", "request", refresh1, access1, "client", access0, "id", "",
			},
			After: t.after(login.with(func(r *fullRecord) {
				r.generation, r.clientGeneration, r.parent, r.id = alice, "client", access0, "id"
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
			Name: "one too many of those that are remembered", Keys: sessionKeys, Reply: reply("ok", "first---00000000"), Again: reply("ok", ""),
			TTL: ttls("s", 24, "index", 24),
			Before: t.before(t.numbered().with(func(r *fullRecord) {
				r.current, r.number, r.used = refresh0, 0, "first---00000000"+eight
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

// evictCase is about a limit of two sessions: the others of the subject at the client, two of them from the version before, are
// four, so that three lose their refresh token.
func (t sessionTables) evictCase(login fullRecord) luacover.Case {
	const (
		soon, later, evicted, other = "session-0000soon", "session-000later", "session-evicted-", "session-000other"
		oldSoon, oldOther           = "name-of-an-older-one-1", "name-of-another-one--1"
	)
	member := func(name string) string { return limited + name }
	return luacover.Case{
		Name: "a login beyond the limit of sessions", Keys: sessionKeys, Reply: reply("ok", ""),
		Before: [][]any{
			{
				"ZADD", "index", t.score(-1), "session-expired-", t.score(2), member(soon), t.score(9), member(later), t.score(1), member(evicted),
				t.score(1), "mark-00000000002" + other, t.score(1), rawName, t.score(1), member(rawName),
			},
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
				member(rawName): t.score(24),
			},
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
	const mark = "redeemed-0000001"
	args := t.issue(`"create":true,`, "", "", access1)
	args[9] = mark
	code := func(state, mark string) []any {
		return []any{"SET", "code", "\x01" + state + mark + "body", "EX", 24 * 3600}
	}
	open := strings.Repeat("\x00", 16)
	after := luacover.State{
		"code": "\x01u" + mark + "body",
		"s": showRecord(fullRecord{session: session{
			version: recordVersion, created: t.now, access: map[string]int64{access1: t.in(1)}, body: []byte("request"),
		}}.encode()),
	}
	return []luacover.Case{
		{Name: "a code", Before: [][]any{code("o", open)}, Keys: keys, Args: args, Reply: reply("ok", ""), After: after, TTL: ttls("s", 1, "code", 24)},
		{
			Name: "a code for a refresh token", Before: [][]any{code("o", open)}, Keys: keys, Reply: reply("ok", ""), TTL: ttls("s", 24, "code", 24),
			Args: append(t.issue(`"create":true,"number":1,`, "", refresh1, "")[:9:9], mark),
			After: luacover.State{
				"code": "\x01u" + mark + "body",
				"s": showRecord(fullRecord{session: session{
					version: recordVersion, created: t.now, current: refresh1, currentExpires: t.in(24), number: 1, body: []byte("request"),
				}}.encode()),
			},
		},
		{
			Name: "a code that this redemption has used", Before: [][]any{code("u", mark)}, Keys: keys, Args: args, Reply: reply("ok", ""),
			After: after, TTL: ttls("s", 1, "code", 24),
		},
		{Name: "a code that another has used", Before: [][]any{code("u", "redeemed-0000002")}, Keys: keys, Args: args, Reply: reply("code")},
		{Name: "not a code", Keys: keys, Args: args, Reply: reply("none")},
		{Name: "a code of a later version", Before: [][]any{setKey("code", "\x02 later")}, Keys: keys, Args: args, Reply: reply("bad")},
	}
}
