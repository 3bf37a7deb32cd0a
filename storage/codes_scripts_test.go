package storage

import (
	"strings"
	"testing"
	"time"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// Every branch of codes_store.lua and codes_redeem.lua: what was there before, the user's record, the reply, and what is there
// after it.
func TestCodeScripts(t *testing.T) {
	const (
		zero  = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
		mark  = "0123456789abcdef"
		other = "fedcba9876543210"
		rest  = "the rest \x00 of it"
		user  = `{"v":1,"active":true,"gen":"g1"}`
		at    = "1796065248448" // when a code was issued
		ended = "1796065248449" // sessions of before have ended
	)
	open := func(generation string) string {
		return "\x01o" + zero + string(rune(len(generation))) + generation + at + rest
	}
	used := func(by string) string { return "\x01u" + by + "\x02g1" + at + rest }
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		s := newCodeStore(t, r)
		db := s.Tokens.db
		for _, c := range []struct {
			script             *redisdb.Script
			name, before, user string
			left               time.Duration // of the code
			want, after        string
			ended              string // the mark of a subject whose sessions were ended, or empty
		}{
			{codeStoreScript, "a new code", "", user, 0, "ok", open("g1"), ""},
			{codeStoreScript, "a new code of no user", "", "", 0, "ok", open(""), ""},
			{codeStoreScript, "a new code of a user of the first build", "", `{"v":1,"active":true}`, 0, "ok", open(""), ""},
			{codeStoreScript, "a new code of an unreadable user", "", `{"v":2}`, 0, "bad", "", ""},
			{codeStoreScript, "a new code of a user that is a list", "", `[]`, 0, "bad", "", ""},
			{codeStoreScript, "stored again", open("g1"), user, time.Hour, "ok", open("g1"), ""},
			{codeStoreScript, "stored again when used", used(mark), user, time.Hour, "code", used(mark), ""},
			{codeStoreScript, "over a newer version", "\x02o", user, time.Hour, "bad", "\x02o", ""},
			{codeStoreScript, "over another state", "\x01x", user, time.Hour, "bad", "\x01x", ""},
			{codeRedeemScript, "no code", "", user, 0, "none", "", ""},
			{codeRedeemScript, "open", open("g1"), user, time.Hour, "ok", used(mark), ""},
			{codeRedeemScript, "open, of no user", open(""), "", time.Hour, "ok", strings.Replace(used(mark), "\x02g1", "\x00", 1), ""},
			{codeRedeemScript, "sent again", used(mark), user, time.Hour, "ok", used(mark), ""},
			{codeRedeemScript, "sent again when the user is gone", used(mark), "", time.Hour, "ok", used(mark), ""},
			{codeRedeemScript, "used by another", used(other), user, time.Hour, "code", used(other), ""},
			{codeRedeemScript, "used and expired", used(other), user, time.Minute, "code", used(other), ""},
			{codeRedeemScript, "expired", open("g1"), user, time.Minute, "none", open("g1"), ""},
			{codeRedeemScript, "a newer version", "\x02o" + zero, user, time.Hour, "bad", "\x02o" + zero, ""},
			{codeRedeemScript, "another state", "\x01x" + zero, user, time.Hour, "bad", "\x01x" + zero, ""},
			{codeRedeemScript, "an unreadable user", open("g1"), `{}`, time.Hour, "bad", open("g1"), ""},
			{codeRedeemScript, "a disabled user", open("g1"), `{"v":1,"active":false,"gen":"g1"}`, time.Hour, "none", open("g1"), ""},
			{codeRedeemScript, "another generation", open("g1"), `{"v":1,"active":true,"gen":"g2"}`, time.Hour, "none", open("g1"), ""},
			{codeRedeemScript, "a generation that is longer", open("g1"), `{"v":1,"active":true,"gen":"g12"}`, time.Hour, "none", open("g1"), ""},
			{codeRedeemScript, "sessions of the subject were ended", open(""), "", time.Hour, "none", open(""), ended},
			{codeRedeemScript, "ended at the same time", open(""), "", time.Hour, "none", open(""), at},
			{codeRedeemScript, "ended before", open(""), "", time.Hour, "ok", strings.Replace(used(mark), "\x02g1", "\x00", 1), "1"},
			{codeRedeemScript, "a user where there was none", open(""), user, time.Hour, "none", open(""), ""},
			{codeRedeemScript, "no user where there was one", open("g1"), "", time.Hour, "none", open("g1"), ""},
		} {
			ctx, keys := t.Context(), s.codeKeys(sessionKey(NewSessionID("bob")), "code")
			for i, value := range []string{c.before, c.user, c.ended} {
				if err := db.Client.Del(ctx, keys[i]).Err(); err != nil {
					t.Fatal(err)
				}
				if value != "" {
					if err := db.Client.Set(ctx, keys[i], value, c.left).Err(); err != nil {
						t.Fatal(err)
					}
				}
			}
			args := []any{rest, time.Hour.Milliseconds()}
			if c.script == codeRedeemScript {
				args = []any{mark, codeMemory.Milliseconds()}
			}
			reply, err := db.Eval(ctx, "test", redisdb.Call{Script: c.script, Keys: keys, Args: args})
			after := db.Client.Get(ctx, keys[0]).Val()
			if from := len("\x01o") + len(zero) + 1 + len("g1"); c.script == codeStoreScript && reply == "ok" && strings.HasSuffix(after, rest) {
				if generation := after[from-len("g1")-1]; generation == 0 {
					from -= len("g1")
				}
				after = after[:from] + at + after[from+len(at):] // the time is Redis's
			}
			if err != nil || reply != c.want || after != c.after {
				t.Errorf("%s: reply %v, %v, want %q; %q, want %q", c.name, reply, err, c.want, after, c.after)
			}
			if left := db.Client.PTTL(ctx, keys[0]).Val(); after != "" && (left <= 0 || left > time.Hour) {
				t.Errorf("%s: it is there for %v", c.name, left)
			}
		}
	})
}
