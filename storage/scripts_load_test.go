package storage

import (
	"fmt"

	"github.com/opgrant/opgrant/storage/internal/luacover"
)

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
			Name: "a generation of the same length that is not base64", Keys: sessionKeys, TTL: ttls("s", 1),
			Before: [][]any{setKey("user", `{"v":1,"gen":"v1.2.3.4"}`)}, Args: t.issue(`"create":true,`, "", "", access1), Reply: reply("ok", ""),
			After: luacover.State{"user": `{"v":1,"gen":"v1.2.3.4"}`, "s": showRecord(fullRecord{session: session{
				version: recordVersion, created: t.now, generation: rawGeneration("v1.2.3.4"),
				access: map[string]int64{access1: t.in(1)}, body: []byte("request"),
			}}.encode())},
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
