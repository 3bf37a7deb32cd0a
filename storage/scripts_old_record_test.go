package storage

import (
	"encoding/json"
	"strings"

	"github.com/opgrant/opgrant/storage/internal/luacover"
)

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
			Name: "an old record that was moved, and not written", Keys: sessionKeys, Args: args(access1), Reply: reply("ok", access1),
			Again: reply("ok", ""), Before: [][]any{setKey("s", few)}, TTL: ttls("s", 2),
			After: luacover.State{"s": showRecord(moved.encode())},
		},
		{
			Name: "an old record that was moved", Keys: sessionKeys, Args: args(access2), Reply: reply("ok", access2), Again: reply("none"),
			Before: [][]any{setKey("s", moved.encode())}, After: luacover.State{},
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
