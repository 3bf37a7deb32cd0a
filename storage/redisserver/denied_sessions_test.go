package redisserver_test

import (
	"fmt"
	"strconv"
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
	double = &storage.Client{ID: "double", Public: true, Grants: []string{"password", "refresh_token"}, SessionsPerUser: 2}
)

// form is how the signatures of tokens are made.
type form int

const (
	plain    form = iota // Signature
	numbered             // RefreshSignature
	foreign              // by a stock fosite server
)

// mint makes the signatures of the tokens "a"+name and "r"+name: new ones each time, as a server does for each request.
func (w *fixture) mint(f form, id, name string, number uint32) (access, refresh string) {
	w.minted++
	text := fmt.Sprintf("%s no. %d", name, w.minted)
	switch f {
	case foreign:
		access, refresh = "access "+text, "refresh "+text
	case numbered:
		access, refresh = storage.Signature(id, "a"+text), storage.RefreshSignature(id, "r"+text, number)
	case plain:
		access, refresh = storage.Signature(id, "a"+text), storage.Signature(id, "r"+text)
	}
	w.tokens["a"+name], w.tokens["r"+name] = access, refresh
	return access, refresh
}

// enter is a login: a new session, with tokens of its name, until then.
func (w *fixture) enter(f form, name, subject string, c *storage.Client, until time.Duration) error {
	id := storage.NewSessionID(subject)
	if f == foreign {
		id = "request " + id
	}
	w.ids[name] = id
	access, refresh := w.mint(f, id, name, 1)
	return login(w.ctx, w.store, access, refresh, requestUntil(id, subject, c, until))
}

func requestUntil(id, subject string, c *storage.Client, until time.Duration) *fosite.Request {
	req := request(id, subject, c)
	for _, kind := range []fosite.TokenType{fosite.AccessToken, fosite.RefreshToken} {
		req.Session.SetExpiresAt(kind, time.Now().Add(until))
	}
	return req
}

func (w *fixture) put(c *storage.Client) {
	w.t.Helper()
	if _, err := w.store.Client(w.ctx, c.ID); err != nil {
		w.must(w.store.PutClient(w.ctx, c))
	}
}

// login opens a session before the operation.
func (w *fixture) login(name, subject string, c *storage.Client) {
	w.t.Helper()
	w.put(c)
	w.must(w.enter(plain, name, subject, c, time.Hour))
}

// refresh presents a refresh token of session 1 and gets the next two, or those that were made before.
func (w *fixture) refresh(f form, before, next string, number uint32, c *storage.Client) error {
	token := w.tokens["r"+before]
	access, refresh := w.mint(f, w.ids["1"], next, number)
	w.answers[strconv.Itoa(w.minted)] = [2]string{access, refresh}
	earlier, err := w.store.RefreshSession(w.ctx, token, access, refresh, []byte(strconv.Itoa(w.minted)), request(w.ids["1"], "alice", c))
	if earlier != nil {
		given := w.answers[string(earlier)]
		w.tokens["a"+next], w.tokens["r"+next] = given[0], given[1]
	}
	return err
}

func opened(f form, c *storage.Client) func(w *fixture) {
	return func(w *fixture) {
		w.addUser("alice", "")
		w.put(c)
		w.must(w.enter(f, "1", "alice", c, time.Hour))
	}
}

func rotated(f form, c *storage.Client) func(w *fixture) {
	return func(w *fixture) {
		opened(f, c)(w)
		w.must(w.refresh(f, "1", "2", 2, c))
	}
}

// rotation is a refresh that gives another refresh token.
func rotation(f form, before, next string, number uint32, c *storage.Client) func(w *fixture) error {
	return func(w *fixture) error { return w.refresh(f, before, next, number, c) }
}

// withBackground is an operation and what is sent after it.
func withBackground(run func(w *fixture) error) func(w *fixture) error {
	return func(w *fixture) error {
		err := run(w)
		time.Sleep(80 * time.Millisecond)
		return err
	}
}

// inTransaction makes the calls of fosite's handler for one session.
func (w *fixture) inTransaction(calls func(tx *transaction) error) error {
	ctx, err := w.store.BeginTX(w.ctx)
	if err != nil {
		return err
	}
	tx := &transaction{w, ctx}
	if err := calls(tx); err != nil {
		return err
	}
	return w.store.Commit(ctx)
}

// confirming are the commands that end the doubt about a rotation, and are repeated in the background.
var confirming = []string{"PTTL a", "PEXPIRE a"}

var sessionOperations = []operation{
	{
		name:  "login",
		setup: func(w *fixture) { w.addUser("alice", ""); w.put(web) },
		run:   func(w *fixture) error { return w.enter(numbered, "1", "alice", web, time.Hour) },
	},
	{
		name: "login in two steps", // each is repeated by itself
		setup: func(w *fixture) {
			w.put(web)
			w.ids["1"] = storage.NewSessionID("alice")
			w.mint(plain, w.ids["1"], "1", 1)
		},
		run: func(w *fixture) error {
			r := request(w.ids["1"], "alice", web)
			if err := w.store.CreateAccessTokenSession(w.ctx, w.tokens["a1"], r); err != nil {
				return err
			}
			return w.store.CreateRefreshTokenSession(w.ctx, w.tokens["r1"], "", r)
		},
	},
	{
		name: "login with signatures of fosite", paired: true,
		setup: func(w *fixture) { w.put(web) },
		run:   func(w *fixture) error { return w.enter(foreign, "1", "alice", web, time.Hour) },
	},
	{
		name:  "login whose tokens have expired",
		setup: func(w *fixture) { w.login("2", "alice", web) },
		run:   func(w *fixture) error { return w.enter(plain, "1", "alice", web, -time.Second) },
	},
	{
		name: "login with a user agent", once: true, ignores: []string{"HLEN agents", "HSETNX agents", "PEXPIRE agents"},
		setup: func(w *fixture) { w.put(web) },
		run: withBackground(func(w *fixture) error {
			id := storage.NewSessionID("alice")
			access, refresh := w.mint(plain, id, "1", 1)
			req := request(id, "alice", web)
			req.Session = &visit{req.Session}
			return login(w.ctx, w.store, access, refresh, req)
		}),
	},
	{
		name: "login that evicts",
		setup: func(w *fixture) {
			w.login("1", "alice", single)
			w.login("2", "alice", single)
		},
		run: func(w *fixture) error { return w.enter(numbered, "3", "alice", single, time.Hour) },
	},
	{
		// An attempt that failed must not count as a session: the second one stays.
		name: "login that evicts one of two",
		setup: func(w *fixture) {
			w.put(double)
			w.must(w.enter(plain, "1", "alice", double, 30*time.Minute))
			w.must(w.enter(plain, "2", "alice", double, 40*time.Minute))
		},
		run: func(w *fixture) error { return w.enter(numbered, "3", "alice", double, time.Hour) },
	},
	{
		name: "login that makes two",
		setup: func(w *fixture) {
			w.put(double)
			w.must(w.enter(plain, "1", "alice", double, 30*time.Minute))
		},
		run: func(w *fixture) error { return w.enter(numbered, "2", "alice", double, time.Hour) },
	},
	{
		name:  "refresh of a static token",
		setup: opened(plain, web),
		run: func(w *fixture) error {
			access, _ := w.mint(plain, w.ids["1"], "2", 2)
			_, err := w.store.RefreshSession(w.ctx, w.tokens["r1"], access, "", nil, request(w.ids["1"], "alice", web))
			return err
		},
	},
	{
		name: "refresh of a session from before there was a limit",
		setup: func(w *fixture) {
			opened(plain, double)(w)
			limited := *double
			limited.SessionsPerUser = 3
			w.must(w.store.PutClient(w.ctx, &limited))
		},
		run: rotation(plain, "1", "2", 2, double),
	},
	{
		name: "rotation with a grace", ignores: confirming, once: true,
		setup: opened(plain, web),
		run:   withBackground(rotation(plain, "1", "2", 2, web)),
	},
	{
		name: "rotation of a numbered token", ignores: confirming, once: true,
		setup: opened(numbered, web),
		run:   rotation(numbered, "1", "2", 2, web),
	},
	{
		name: "rotation without a grace", ignores: confirming, once: true,
		setup: opened(numbered, strict),
		run:   rotation(numbered, "1", "2", 2, strict),
	},
	{
		name: "rotation with signatures of fosite", paired: true, ignores: confirming, once: true,
		setup: opened(foreign, strict),
		run:   rotation(foreign, "1", "2", 2, strict),
	},
	{
		name: "second rotation", ignores: confirming, once: true,
		setup: rotated(plain, web),
		run:   rotation(plain, "2", "3", 3, web),
	},
	{
		name: "retry within the grace", ignores: confirming, once: true,
		setup: rotated(plain, web),
		run:   rotation(plain, "1", "2", 2, web),
	},
	{
		name: "retry of a rotation in doubt, without a grace", want: fosite.ErrTemporarilyUnavailable,
		setup: func(w *fixture) {
			rotated(plain, web)(w)
			time.Sleep(100 * time.Millisecond) // until it is confirmed
			answers, err := w.admin.Keys(w.ctx, keys.Prefix+"a*").Result()
			w.must(err)
			w.must(w.admin.PExpire(w.ctx, answers[0], 15*time.Minute).Err())
		},
		run: rotation(plain, "1", "3", 3, strict),
	},
	{
		name: "reuse", want: fosite.ErrInactiveToken, again: fosite.ErrNotFound,
		setup: rotated(numbered, strict),
		run:   rotation(numbered, "1", "3", 3, strict),
	},
	{
		name: "reuse where sessions are limited", want: fosite.ErrInactiveToken, again: fosite.ErrNotFound,
		setup: func(w *fixture) {
			rotated(plain, single)(w)
			w.must(w.admin.Del(w.ctx, w.admin.Keys(w.ctx, keys.Prefix+"a*").Val()...).Err())
		},
		run: rotation(plain, "1", "3", 3, single),
	},
	{
		name: "rotation by fosite",
		setup: func(w *fixture) {
			opened(plain, web)(w)
			w.must(w.store.CreateAccessTokenSession(w.ctx, storage.Signature(w.ids["1"], "another"), request(w.ids["1"], "alice", web)))
		},
		run: func(w *fixture) error {
			access, refresh := w.mint(plain, w.ids["1"], "2", 2)
			return w.inTransaction(func(tx *transaction) error { return tx.rotate(w.tokens["r1"], access, refresh, web) })
		},
	},
	{
		name:  "delete access token",
		setup: opened(plain, web),
		run:   func(w *fixture) error { return w.store.DeleteAccessTokenSession(w.ctx, w.tokens["a1"]) },
	},
	{
		name: "delete access token with a signature of fosite", ignores: []string{"DEL p"},
		setup: opened(foreign, web),
		run:   withBackground(func(w *fixture) error { return w.store.DeleteAccessTokenSession(w.ctx, w.tokens["a1"]) }),
	},
	{
		name:  "delete refresh token",
		setup: rotated(plain, web),
		run:   func(w *fixture) error { return w.store.DeleteRefreshTokenSession(w.ctx, w.tokens["r2"]) },
	},
	{
		name:  "revoke refresh tokens",
		setup: rotated(numbered, web),
		run:   func(w *fixture) error { return w.store.RevokeRefreshToken(w.ctx, w.ids["1"]) },
	},
	{
		name:  "revoke access tokens",
		setup: rotated(plain, web),
		run:   func(w *fixture) error { return w.store.RevokeAccessToken(w.ctx, w.ids["1"]) },
	},
	{
		name:  "revoke session",
		setup: rotated(plain, web),
		run:   func(w *fixture) error { return w.store.RevokeSession(w.ctx, w.ids["1"]) },
	},
	{
		name: "revoke session that was evicted",
		setup: func(w *fixture) {
			w.login("1", "alice", single)
			w.login("2", "alice", single)
		},
		run: func(w *fixture) error { return w.store.RevokeSession(w.ctx, w.ids["1"]) },
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
