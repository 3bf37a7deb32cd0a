package redisserver_test

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/internal/redisdb"
)

// old opens a session of alice as the version before stored it, with tokens of its name. The refresh token "r0"+name is a used one.
func (w *fixture) old(name string, c *storage.Client, until time.Duration, evicted bool) {
	w.t.Helper()
	w.put(c)
	stored, err := w.store.Client(w.ctx, c.ID)
	w.must(err)
	var user struct {
		Generation string `json:"gen"`
	}
	tag := redisdb.SubjectTag("alice")
	w.must(json.Unmarshal([]byte(w.admin.Get(w.ctx, keys.User(tag)).Val()), &user))

	id := storage.NewSessionID("alice")
	w.ids[name] = id
	_, before := w.mint(plain, id, "0"+name, 0)
	access, refresh := w.mint(plain, id, name, 0)
	hash := func(signature string) string { return signature[strings.Index(signature, ".")+1:] }
	delete(w.tokens, "a0"+name)
	now := time.Now()
	ends := now.Add(until)
	encode := func(v any) string {
		raw, err := json.Marshal(v)
		w.must(err)
		return string(raw)
	}
	document := encode(map[string]any{
		"t": now.UnixMilli(), "c": c.ID, "u": "alice", "g": []string{"read"}, "s": map[string]string{"Subject": "alice"},
	})
	record := encode(map[string]any{
		"v": 1, "d": document, "at": now.UnixMilli(), "l": now.UnixMilli(), "g": user.Generation, "cg": stored.Generation,
		"c": hash(refresh), "ce": ends.UnixMilli(), "u": hash(before)[:12], "a": map[string]int64{hash(access): ends.UnixMilli()},
	})
	own := id[redisdb.TagLength:]
	w.must(w.admin.Set(w.ctx, keys.OldSession(tag, own), record, until).Err())
	for key, member := range map[string]string{keys.OldIndex(tag): own + ":" + redisdb.Hash(c.ID)[:11], keys.OldEvicted(tag): own} {
		if key == keys.OldIndex(tag) || evicted {
			w.must(w.admin.Do(w.ctx, "ZADD", key, ends.UnixMilli(), member).Err())
			w.must(w.admin.PExpire(w.ctx, key, time.Hour).Err())
		}
	}
}

func fromBefore(c *storage.Client, evicted bool) func(w *fixture) {
	return func(w *fixture) {
		w.addUser("alice", "")
		w.old("1", c, 30*time.Minute, evicted)
	}
}

// oldOperations are on sessions of the version before, which they move.
var oldOperations = []operation{
	{
		name: "rotation of an old session", ignores: confirming, once: true,
		setup: fromBefore(web, false),
		run:   rotation(numbered, "1", "2", 1, web),
	},
	{
		name: "rotation of an old session without a grace", ignores: confirming, once: true,
		setup: fromBefore(strict, false),
		run:   rotation(numbered, "1", "2", 1, strict),
	},
	{
		// What a failed attempt has left of the old record must not come back when the session has ended.
		name: "rotation of an old session, which then is revoked", ignores: confirming, once: true,
		setup: fromBefore(web, false),
		run: func(w *fixture) error {
			if err := w.refresh(numbered, "1", "2", 1, web); err != nil {
				return err
			}
			return w.store.RevokeSession(w.ctx, w.ids["1"])
		},
		again: fosite.ErrNotFound,
	},
	{
		name:  "rotation of an old session by fosite",
		setup: fromBefore(web, false),
		run: func(w *fixture) error {
			access, refresh := w.mint(plain, w.ids["1"], "2", 1)
			return w.inTransaction(func(tx *transaction) error { return tx.rotate(w.tokens["r1"], access, refresh, web) })
		},
	},
	{
		name:  "rotation of an old session by fosite, in a step of its own",
		setup: fromBefore(web, false),
		run:   func(w *fixture) error { return w.store.RotateRefreshToken(w.ctx, w.ids["1"], w.tokens["r1"]) },
	},
	{
		name: "reuse in an old session", want: fosite.ErrInactiveToken, again: fosite.ErrNotFound,
		setup: fromBefore(strict, false),
		run:   rotation(numbered, "01", "2", 1, strict),
	},
	{
		name:  "another access token of an old session",
		setup: fromBefore(web, false),
		run: func(w *fixture) error {
			access, _ := w.mint(plain, w.ids["1"], "2", 1)
			return w.store.CreateAccessTokenSession(w.ctx, access, request(w.ids["1"], "alice", web))
		},
	},
	{
		name:  "another access token of an old session that was evicted",
		setup: fromBefore(single, true),
		run: func(w *fixture) error {
			access, _ := w.mint(plain, w.ids["1"], "2", 1)
			return w.store.CreateAccessTokenSession(w.ctx, access, request(w.ids["1"], "alice", single))
		},
	},
	{
		name:  "delete access token of an old session that was evicted",
		setup: fromBefore(web, true),
		run:   func(w *fixture) error { return w.store.DeleteAccessTokenSession(w.ctx, w.tokens["a1"]) },
	},
	{
		name:  "delete refresh token of an old session",
		setup: fromBefore(web, false),
		run:   func(w *fixture) error { return w.store.DeleteRefreshTokenSession(w.ctx, w.tokens["r1"]) },
	},
	{
		name:  "revoke old session",
		setup: fromBefore(web, true),
		run:   func(w *fixture) error { return w.store.RevokeSession(w.ctx, w.ids["1"]) },
	},
	{
		name: "revoke subject with old sessions",
		setup: func(w *fixture) {
			fromBefore(web, true)(w)
			w.old("2", single, time.Hour, false)
			w.must(w.enter(plain, "3", "alice", web, time.Hour))
		},
		run: func(w *fixture) error { return w.store.RevokeSubject(w.ctx, "alice") },
	},
	{
		name: "login that evicts one of two old sessions",
		setup: func(w *fixture) {
			fromBefore(double, false)(w)
			w.old("2", double, 40*time.Minute, false)
		},
		run: func(w *fixture) error { return w.enter(numbered, "3", "alice", double, time.Hour) },
	},
	{
		name: "login that evicts an old session beside a new one",
		setup: func(w *fixture) {
			fromBefore(double, false)(w)
			w.must(w.enter(plain, "2", "alice", double, 40*time.Minute))
		},
		run: func(w *fixture) error { return w.enter(numbered, "3", "alice", double, time.Hour) },
	},
}
