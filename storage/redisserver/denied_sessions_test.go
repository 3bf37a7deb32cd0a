package redisserver_test

import (
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/storage"
)

func grace(d time.Duration) *storage.Duration {
	g := storage.Duration(d)
	return &g
}

var (
	web    = &storage.Client{ID: "web", Public: true, Grants: []string{"password", "refresh_token"}, Grace: grace(policy.MaxGrace)}
	strict = &storage.Client{ID: "strict", Public: true, Grants: []string{"password", "refresh_token"}, Grace: grace(0)}
	single = &storage.Client{ID: "single", Public: true, Grants: []string{"password", "refresh_token"}, SessionsPerUser: 1}
)

// login opens a session, with the access token "a"+name and the refresh token "r"+name.
func (w *fixture) login(name, subject string, c *storage.Client) {
	w.t.Helper()
	if _, err := w.store.Client(w.ctx, c.ID); err != nil {
		w.must(w.store.PutClient(w.ctx, c))
	}
	id := w.session(name, subject)
	w.must(login(w.ctx, w.store, w.tokens["a"+name], w.tokens["r"+name], request(id, subject, c)))
}

// session makes a session ID and the signatures of its tokens.
func (w *fixture) session(name, subject string) string {
	id := storage.NewSessionID(subject)
	w.ids = append(w.ids, id)
	for _, kind := range []string{"a", "r", "a2-", "r2-", "a3-", "r3-"} {
		w.tokens[kind+name] = storage.Signature(id, kind+name)
	}
	return id
}

// refresh makes the second tokens of a session from the first ones, or later ones.
func (w *fixture) refresh(before, next string, c *storage.Client) error {
	_, err := w.store.RefreshSession(w.ctx, w.tokens["r"+before], w.tokens["a"+next], w.tokens["r"+next], []byte("answer"), request(w.ids[0], "alice", c))
	return err
}

// listing are commands for lists, which a session does not depend on.
var listing = []string{"TIME n", "ZREMRANGEBYSCORE n", "ZADD n", "ZRANGE n", "PEXPIREAT n"}

func opened(c *storage.Client) func(w *fixture) {
	return func(w *fixture) { w.addUser("alice", ""); w.login("1", "alice", c) }
}

func rotated(c *storage.Client) func(w *fixture) {
	return func(w *fixture) {
		opened(c)(w)
		w.must(w.refresh("1", "2-1", c))
	}
}

var sessionOperations = []operation{
	{
		name: "login", ignores: listing,
		setup: func(w *fixture) {
			w.addUser("alice", "")
			w.must(w.store.PutClient(w.ctx, web))
			w.session("1", "alice")
		},
		run: func(w *fixture) error {
			return login(w.ctx, w.store, w.tokens["a1"], w.tokens["r1"], request(w.ids[0], "alice", web))
		},
	},
	{
		name: "login in two steps", ignores: listing,
		setup: func(w *fixture) { w.must(w.store.PutClient(w.ctx, web)); w.session("1", "alice") },
		run: func(w *fixture) error {
			r := request(w.ids[0], "alice", web)
			if err := w.store.CreateAccessTokenSession(w.ctx, w.tokens["a1"], r); err != nil {
				return err
			}
			return w.store.CreateRefreshTokenSession(w.ctx, w.tokens["r1"], "", r)
		},
	},
	{
		name: "login with signatures of fosite", ignores: listing,
		setup: func(w *fixture) {
			w.must(w.store.PutClient(w.ctx, web))
			w.tokens["a"], w.tokens["r"] = "foreign access", "foreign refresh"
		},
		run: func(w *fixture) error {
			return login(w.ctx, w.store, "foreign access", "foreign refresh", request("foreign", "alice", web))
		},
	},
	{
		name: "login that evicts", ignores: listing,
		setup: func(w *fixture) {
			w.login("1", "alice", single)
			w.login("2", "alice", single)
			w.session("3", "alice")
		},
		run: func(w *fixture) error {
			return login(w.ctx, w.store, w.tokens["a3"], w.tokens["r3"], request(w.ids[2], "alice", single))
		},
	},
	{
		name: "refresh of a static token", ignores: listing,
		setup: opened(web),
		run: func(w *fixture) error {
			_, err := w.store.RefreshSession(w.ctx, w.tokens["r1"], w.tokens["a2-1"], "", nil, request(w.ids[0], "alice", web))
			return err
		},
	},
	{
		name: "rotation with a grace", ignores: append([]string{"PTTL a", "PEXPIRE a"}, listing...),
		setup: opened(web),
		run:   func(w *fixture) error { return w.refresh("1", "2-1", web) },
	},
	{
		name: "rotation without a grace", ignores: append([]string{"PTTL a", "PEXPIRE a"}, listing...),
		setup: opened(strict),
		run:   func(w *fixture) error { return w.refresh("1", "2-1", strict) },
	},
	{
		name: "second rotation", ignores: append([]string{"PTTL a", "PEXPIRE a"}, listing...),
		setup: rotated(web),
		run:   func(w *fixture) error { return w.refresh("2-1", "3-1", web) },
	},
	{
		name: "retry within the grace", ignores: append([]string{"PTTL a", "PEXPIRE a"}, listing...),
		setup: rotated(web),
		run:   func(w *fixture) error { return w.refresh("1", "3-1", web) },
	},
	{
		name: "retry of a rotation in doubt, without a grace", want: fosite.ErrTemporarilyUnavailable,
		setup: func(w *fixture) {
			rotated(web)(w)
			time.Sleep(100 * time.Millisecond) // until it is confirmed
			answers, err := w.admin.Keys(w.ctx, keys.Prefix+"a*").Result()
			w.must(err)
			w.must(w.admin.PExpire(w.ctx, answers[0], 15*time.Minute).Err())
		},
		run: func(w *fixture) error { return w.refresh("1", "3-1", strict) },
	},
	{
		name: "reuse", want: fosite.ErrInactiveToken, again: fosite.ErrNotFound, ignores: listing,
		setup: rotated(strict),
		run:   func(w *fixture) error { return w.refresh("1", "3-1", strict) },
	},
	{
		name: "rotation by fosite", ignores: listing,
		setup: opened(web),
		run: func(w *fixture) error {
			r := request(w.ids[0], "alice", web)
			ctx, err := w.store.BeginTX(w.ctx)
			if err != nil {
				return err
			}
			if err := w.store.RotateRefreshToken(ctx, r.ID, w.tokens["r1"]); err != nil {
				return err
			}
			if err := w.store.CreateAccessTokenSession(ctx, w.tokens["a2-1"], r); err != nil {
				return err
			}
			if err := w.store.CreateRefreshTokenSession(ctx, w.tokens["r2-1"], "", r); err != nil {
				return err
			}
			return w.store.Commit(ctx)
		},
	},
	{
		name:  "delete access token",
		setup: opened(web),
		run:   func(w *fixture) error { return w.store.DeleteAccessTokenSession(w.ctx, w.tokens["a1"]) },
	},
	{
		name:  "delete refresh token",
		setup: rotated(web),
		run:   func(w *fixture) error { return w.store.DeleteRefreshTokenSession(w.ctx, w.tokens["r2-1"]) },
	},
	{
		name:  "revoke refresh tokens",
		setup: rotated(web),
		run:   func(w *fixture) error { return w.store.RevokeRefreshToken(w.ctx, w.ids[0]) },
	},
	{
		name:  "revoke access tokens",
		setup: rotated(web),
		run:   func(w *fixture) error { return w.store.RevokeAccessToken(w.ctx, w.ids[0]) },
	},
	{
		name:  "revoke session",
		setup: rotated(web),
		run:   func(w *fixture) error { return w.store.RevokeSession(w.ctx, w.ids[0]) },
	},
	{
		name: "revoke session that was evicted",
		setup: func(w *fixture) {
			w.login("1", "alice", single)
			w.login("2", "alice", single)
		},
		run: func(w *fixture) error { return w.store.RevokeSession(w.ctx, w.ids[0]) },
	},
	{
		name: "revoke subject",
		setup: func(w *fixture) {
			w.addUser("alice", "")
			w.login("1", "alice", single)
			w.login("2", "alice", single)
		},
		run: func(w *fixture) error { return w.store.RevokeSubject(w.ctx, "alice") },
	},
	{
		name:  "revoke subject without an account",
		setup: func(w *fixture) { w.login("1", "alice", web); w.login("2", "alice", web) },
		run:   func(w *fixture) error { return w.store.RevokeSubject(w.ctx, "alice") },
	},
}
