package storage

import (
	"fmt"
	"maps"
	"time"

	"github.com/opgrant/opgrant/storage/internal/luacover"
)

// What the tables of the session scripts are about. Hashes have the length of those in records.
const (
	ownTag  = "tag-of-the-subject---1"
	oldName = "name-of-the-session--1"
	rawName = "session-00000001"
	limited = "mark-00000000001" // of subject and client

	refresh0 = "refresh-0000"
	refresh1 = "refresh-0001"
	refresh2 = "refresh-0002"
	access0  = "access--0000"
	access1  = "access--0001"
	access2  = "access--0002"
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

// maxListed is max_listed of record.lua.
const maxListed = 1000

// hashes are those of so many access tokens, which expire in so many hours.
func (t sessionTables) hashes(n int, hours int64) map[string]int64 {
	list := make(map[string]int64, n)
	for i := range n {
		list[fmt.Sprintf("access-%05d", i)] = t.in(hours)
	}
	return list
}

func (r fullRecord) with(change func(r *fullRecord)) fullRecord {
	r.access, r.revoked = maps.Clone(r.access), maps.Clone(r.revoked)
	change(&r)
	return r
}

const (
	userRecord1 = `{"v":1,"rev":"one","gen":"gen-01"}`
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

// alice is the generation of userRecord1 as session records have it.
var alice = rawGeneration("gen-01")
