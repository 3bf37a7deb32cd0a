package storage

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v3"
	"github.com/ory/fosite"
	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
	"github.com/opgrant/opgrant/storage/storagetest"
	"github.com/opgrant/opgrant/storage/throttle"
	"github.com/opgrant/opgrant/storage/usage"
)

// writer is a store with everything that can change it, and what its calls need.
type writer struct {
	store    *Store
	throttle *throttle.Throttle
	attempt  throttle.Attempt
	counter  *usage.Counter
	client   *Client
	login    *fosite.Request
}

func newWriter(t *testing.T, rdb redis.UniversalClient, o Options) *writer {
	t.Helper()
	o.Password, o.Timeout, o.ClientCache = cheap, hang, -1
	s, err := New(rdb, o)
	if err != nil {
		t.Fatal(err)
	}
	c := &Client{ID: "web", Public: true, Grants: []string{"password", "refresh_token"}}
	session := &storagetest.Session{Subject: "alice"}
	session.SetExpiresAt(fosite.AccessToken, time.Now().Add(time.Hour))
	session.SetExpiresAt(fosite.RefreshToken, time.Now().Add(time.Hour))
	return &writer{
		store: s, throttle: s.Users.Throttle(), counter: s.NewUsageCounter(), client: c,
		login: &fosite.Request{ID: NewSessionID("alice"), Client: c, Session: session, RequestedAt: time.Now()},
	}
}

func (w *writer) signature(name string) string { return Signature(w.login.ID, name) }

// fill stores one of everything.
func (w *writer) fill(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	var err error
	if w.attempt, err = w.throttle.Reserve(ctx, "alice", "192.0.2.1", nil); err != nil {
		t.Fatal(err)
	}
	for _, role := range []string{"admin", "spare"} {
		if _, err := w.store.Users.AddRole(ctx, Role{ID: role, Permission: []byte(`{"super_user":true}`)}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.store.Users.ImportRoles(ctx, []Role{{ID: "imported", Permission: []byte(`{}`)}}, false); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"verified": w.store.Users.AddVerifiedUser(ctx, User{Name: "verified", Active: true}, "one"),
		"client":   w.store.PutClient(ctx, w.client),
		"user":     w.store.Users.AddUser(ctx, User{Name: "alice", Role: "admin", Active: true}, "one"),
		"access":   w.store.CreateAccessTokenSession(ctx, w.signature("a"), w.login),
		"refresh":  w.store.CreateRefreshTokenSession(ctx, w.signature("r"), "", w.login),
		"keys":     w.store.Keys.SaveKeys(ctx, []byte("{}"), ""),
		"code":     w.store.CreateAuthorizeCodeSession(ctx, w.signature("c"), w.login),
		"issuer":   w.store.PutIssuerKey(ctx, issuerKey("kept")),
	} {
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
}

// writes are all methods that change something.
func (w *writer) writes(ctx context.Context) map[string]func() error {
	s, u, password := w.store, w.store.Users, "two"
	foreign := *w.login
	foreign.ID = "foreign"
	return map[string]func() error{
		"PutClient":                 func() error { return s.PutClient(ctx, w.client) },
		"RemoveClient":              func() error { return s.RemoveClient(ctx, "web") },
		"SetClientAssertionJWT":     func() error { return s.SetClientAssertionJWT(ctx, "jti", time.Now().Add(time.Hour)) },
		"CreateAccessTokenSession":  func() error { return s.CreateAccessTokenSession(ctx, w.signature("b"), w.login) },
		"CreateRefreshTokenSession": func() error { return s.CreateRefreshTokenSession(ctx, w.signature("s"), "", w.login) },
		"a foreign login":           func() error { return s.CreateRefreshTokenSession(ctx, "key.signature", "", &foreign) },
		"RotateRefreshToken":        func() error { return s.RotateRefreshToken(ctx, w.login.ID, w.signature("r")) },
		"RefreshSession": func() error {
			_, err := s.RefreshSession(ctx, w.signature("r"), w.signature("b"), w.signature("s"), []byte("answer"), w.login)
			return err
		},
		"DeleteAccessTokenSession":  func() error { return s.DeleteAccessTokenSession(ctx, w.signature("a")) },
		"DeleteRefreshTokenSession": func() error { return s.DeleteRefreshTokenSession(ctx, w.signature("r")) },
		"RevokeRefreshToken":        func() error { return s.RevokeRefreshToken(ctx, w.login.ID) },
		"RevokeAccessToken":         func() error { return s.RevokeAccessToken(ctx, w.login.ID) },
		"RevokeSession":             func() error { return s.RevokeSession(ctx, w.login.ID) },
		"RevokeSubject":             func() error { return s.RevokeSubject(ctx, "alice") },
		"RevokeClient":              func() error { _, err := s.RevokeClient(ctx, "web"); return err },
		"AddUser":                   func() error { return u.AddUser(ctx, User{Name: "bob"}, "one") },
		"AddVerifiedUser":           func() error { return u.AddVerifiedUser(ctx, User{Name: "bob"}, "one") },
		"ChangeUser":                func() error { return u.ChangeUser(ctx, "alice", UserChange{Password: &password}) },
		"DropUser":                  func() error { return u.DropUser(ctx, "alice") },
		"ImportUsers":               func() error { _, err := u.ImportUsers(ctx, []Import{{User: User{Name: "carol"}}}, false); return err },
		"ImportRoles": func() error {
			_, err := u.ImportRoles(ctx, []Role{{ID: "new", Permission: []byte(`{}`)}}, false)
			return err
		},
		"DropGoneUser": func() error { return u.DropGoneUser(ctx, "verified") },
		"DropGoneRole": func() error { return u.DropGoneRole(ctx, "imported") },
		"AddRole":      func() error { _, err := u.AddRole(ctx, Role{ID: "new", Permission: []byte(`{}`)}); return err },
		"ChangeRole":   func() error { _, err := u.ChangeRole(ctx, Role{ID: "spare", Name: "x"}); return err },
		"DropRole":     func() error { return u.DropRole(ctx, "spare") },
		"SaveKeys": func() error {
			_, revision, err := s.Keys.LoadKeys(ctx)
			if err != nil {
				return err
			}
			return s.Keys.SaveKeys(ctx, []byte("[]"), revision)
		},
		"VerifyPassword": func() error { _, err := u.VerifyPassword(ctx, "alice", "one", "192.0.2.1"); return err },
		"a wrong password": func() error {
			_, err := u.VerifyPassword(ctx, "alice", "wrong", "192.0.2.1")
			if errors.Is(err, fosite.ErrNotFound) && !errors.Is(err, fosite.ErrTemporarilyUnavailable) {
				return nil
			}
			return err
		},
		"Reserve": func() error { _, err := w.throttle.Reserve(ctx, "alice", "192.0.2.1", nil); return err },
		"Settle": func() error {
			if w.attempt == (throttle.Attempt{}) { // there was no store to reserve it in
				_, err := w.throttle.Reserve(ctx, "alice", "192.0.2.1", nil)
				return err
			}
			return w.throttle.Settle(ctx, w.attempt, throttle.Succeeded)
		},
		"WrongSecret":  func() error { return w.throttle.WrongSecret(ctx, "web", "wrong", "192.0.2.1") },
		"ClearUser":    func() error { _, err := w.throttle.ClearUser(ctx, "alice", true); return err },
		"ClearNetwork": func() error { _, err := w.throttle.ClearNetwork(ctx, "192.0.2.1"); return err },
		"ClearClient":  func() error { _, err := w.throttle.ClearClient(ctx, "web"); return err },
		"Flush": func() error {
			w.counter.Count(usage.Caller{API: usage.APIOAuth, Client: "web", User: "alice"})
			return w.counter.Flush(ctx)
		},
		"Flush of the operations API": func() error {
			counter := s.NewUsageCounter()
			counter.CountsOperations()
			return counter.Flush(ctx)
		},
		"Ready": func() error { return s.Ready(ctx) },

		"CreateAuthorizeCodeSession":     func() error { return s.CreateAuthorizeCodeSession(ctx, w.signature("d"), w.login) },
		"a foreign code":                 func() error { return s.CreateAuthorizeCodeSession(ctx, "key.code", &foreign) },
		"InvalidateAuthorizeCodeSession": func() error { return s.InvalidateAuthorizeCodeSession(ctx, w.signature("c")) },
		"redeem a code":                  func() error { return w.redeem(ctx, "c") },
		"CreatePKCERequestSession":       func() error { return s.CreatePKCERequestSession(ctx, w.signature("c"), w.login) },
		"DeletePKCERequestSession":       func() error { return s.DeletePKCERequestSession(ctx, w.signature("c")) },
		"CreateOpenIDConnectSession":     func() error { return s.CreateOpenIDConnectSession(ctx, "code", w.login) },
		"DeleteOpenIDConnectSession":     func() error { return s.DeleteOpenIDConnectSession(ctx, "code") },
		"CreatePARSession":               func() error { return s.CreatePARSession(ctx, "urn:1", &fosite.AuthorizeRequest{Request: *w.login}) },
		"DeletePARSession":               func() error { return s.DeletePARSession(ctx, "urn:1") },
		"NewNonce":                       func() error { _, err := s.NewNonce(ctx, "token", time.Now().Add(time.Hour)); return err },
		"MarkJWTUsedForTime":             func() error { return s.MarkJWTUsedForTime(ctx, "jti", time.Now().Add(time.Hour)) },
		"PutIssuerKey":                   func() error { return s.PutIssuerKey(ctx, issuerKey("new")) },
		"RemoveIssuerKey":                func() error { return s.RemoveIssuerKey(ctx, "issuer", "alice", "kept") },
	}
}

// redeem uses a code and stores the tokens for it, as fosite does.
func (w *writer) redeem(ctx context.Context, code string) error {
	ctx, err := w.store.BeginTX(ctx)
	if err != nil {
		return err
	}
	if err := w.store.InvalidateAuthorizeCodeSession(ctx, w.signature(code)); err != nil {
		return err
	}
	if err := w.store.CreateAccessTokenSession(ctx, w.signature("e"), w.login); err != nil {
		return err
	}
	return w.store.Commit(ctx)
}

// issuerKey is a key of an issuer of assertions.
func issuerKey(id string) IssuerKey {
	public, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		panic(err)
	}
	return IssuerKey{
		Issuer: "issuer", Subject: "alice", Scopes: []string{"read"},
		Key: jose.JSONWebKey{Key: public, KeyID: id, Algorithm: "EdDSA", Use: "sig"},
	}
}

// No write under another epoch: whatever the other store holds (the same records, nothing, or the records without an epoch), a
// process that knows an earlier one changes nothing in it, answers that it is unavailable, and claims nothing about anybody.
func TestNoWriteUnderAnotherEpoch(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		rdb, ctx := r.Client(t), t.Context()
		lost := 0
		w := newWriter(t, rdb, Options{OnLost: func() { lost++ }})
		w.fill(t)
		epoch := w.store.db.Keys.Epoch()
		for _, other := range []struct {
			name   string
			change func() error
		}{
			{"the same records", func() error { return rdb.Set(ctx, epoch, "another", 0).Err() }},
			{"no epoch", func() error { return rdb.Del(ctx, epoch).Err() }},
			{"nothing but an epoch", func() error { return errors.Join(rdb.FlushAll(ctx).Err(), rdb.Set(ctx, epoch, "another", 0).Err()) }},
			{"nothing", func() error { return rdb.FlushAll(ctx).Err() }},
		} {
			if err := other.change(); err != nil {
				t.Fatal(err)
			}
			before := contents(t, rdb, r.Keys(t))
			for name, call := range w.writes(ctx) {
				err := call()
				if !errors.Is(err, fosite.ErrTemporarilyUnavailable) || errors.Is(err, fosite.ErrNotFound) {
					t.Errorf("%s, %s: %v, want unavailable", other.name, name, err)
				}
				if err != nil && !errors.Is(err, ErrLost) {
					t.Errorf("%s, %s: %v does not say why", other.name, name, err)
				}
				if after := contents(t, rdb, r.Keys(t)); !maps.Equal(before, after) {
					maps.DeleteFunc(after, func(key, value string) bool { return before[key] == value })
					t.Fatalf("%s: %s wrote or removed something: %q", other.name, name, after)
				}
			}
		}
		for name, read := range w.reads(ctx) {
			if err := read(); !errors.Is(err, ErrLost) || !errors.Is(err, fosite.ErrTemporarilyUnavailable) {
				t.Errorf("%s of an emptied store: %v, want ErrLost", name, err)
			}
		}
		if lost != 1 {
			t.Errorf("the loss was reported %d times", lost)
		}
	})
}

// reads are methods whose answer about an empty store would be wrong: "none" is a claim.
func (w *writer) reads(ctx context.Context) map[string]func() error {
	s, u, session := w.store, w.store.Users, &storagetest.Session{}
	return map[string]func() error{
		"GetClient":              func() error { _, err := s.GetClient(ctx, "web"); return err },
		"ListClients":            func() error { _, err := s.ListClients(ctx); return err },
		"GetAccessTokenSession":  func() error { _, err := s.GetAccessTokenSession(ctx, w.signature("a"), session); return err },
		"GetRefreshTokenSession": func() error { _, err := s.GetRefreshTokenSession(ctx, w.signature("r"), session); return err },
		"a foreign token":        func() error { _, err := s.GetRefreshTokenSession(ctx, "key.signature", session); return err },
		"Session":                func() error { _, err := s.Session(ctx, w.login.ID); return err },
		"SessionsOf":             func() error { _, err := s.SessionsOf(ctx, "alice"); return err },
		"EachSession":            func() error { return s.EachSession(ctx, func(SessionInfo) error { return nil }) },
		"SessionsAt":             func() error { _, err := s.SessionsAt(ctx, "web"); return err },
		"User":                   func() error { _, err := u.User(ctx, "alice"); return err },
		"ListUsers":              func() error { _, err := u.ListUsers(ctx); return err },
		"Claims":                 func() error { _, err := u.Claims(ctx, "alice"); return err },
		"ImportedTokenValid":     func() error { return u.ImportedTokenValid(ctx, "alice", time.Now(), "") },
		"Role":                   func() error { _, err := u.Role(ctx, "admin"); return err },
		"ListRoles":              func() error { _, err := u.ListRoles(ctx); return err },
		"List":                   func() error { _, err := w.throttle.List(ctx); return err },
		"ListUser":               func() error { _, _, err := w.throttle.ListUser(ctx, "alice"); return err },
		"LoadKeys":               func() error { _, _, err := s.Keys.LoadKeys(ctx); return err },
		"Report":                 func() error { _, err := w.counter.Report(ctx); return err },
		"FindGone":               func() error { _, err := u.FindGone(ctx, Present{}, true); return err },
		"a dry import of roles": func() error {
			_, err := u.ImportRoles(ctx, []Role{{ID: "new", Permission: []byte(`{}`)}}, true)
			return err
		},
		"GetAuthorizeCodeSession": func() error { _, err := s.GetAuthorizeCodeSession(ctx, w.signature("c"), session); return err },
		"a foreign code":          func() error { _, err := s.GetAuthorizeCodeSession(ctx, "key.code", session); return err },
		"GetPKCERequestSession":   func() error { _, err := s.GetPKCERequestSession(ctx, w.signature("c"), session); return err },
		"GetOpenIDConnectSession": func() error { _, err := s.GetOpenIDConnectSession(ctx, "code", w.login); return err },
		"GetPARSession":           func() error { _, err := s.GetPARSession(ctx, "urn:1"); return err },
		"IsNonceValid":            func() error { return s.IsNonceValid(ctx, "token", "nonce") },
		"GetPublicKey":            func() error { _, err := s.GetPublicKey(ctx, "issuer", "alice", "kept"); return err },
		"GetPublicKeys":           func() error { _, err := s.GetPublicKeys(ctx, "issuer", "alice"); return err },
		"GetPublicKeyScopes":      func() error { _, err := s.GetPublicKeyScopes(ctx, "issuer", "alice", "kept"); return err },
		"ListIssuerKeys":          func() error { _, err := s.ListIssuerKeys(ctx); return err },
		"a dry import":            func() error { _, err := u.ImportUsers(ctx, []Import{{User: User{Name: "carol"}}}, true); return err },
	}
}

// contents returns every key with its value and whether it expires.
func contents(t *testing.T, rdb redis.UniversalClient, keys []string) map[string]string {
	t.Helper()
	found := make(map[string]string)
	for _, key := range keys {
		kind, ctx := rdb.Type(t.Context(), key).Val(), t.Context()
		var value any
		var err error
		switch kind {
		case "string":
			value, err = rdb.Get(ctx, key).Result()
		case "hash":
			value, err = rdb.HGetAll(ctx, key).Result()
		case "set":
			value, err = rdb.SMembers(ctx, key).Result()
		case "zset":
			value, err = rdb.ZRangeWithScores(ctx, key, 0, -1).Result()
		default:
			err = errors.New("of no kind that this test knows")
		}
		if err != nil {
			t.Fatalf("%s: %s: %v", key, kind, err)
		}
		found[key] = fmt.Sprint(value, rdb.TTL(ctx, key).Val() > 0)
	}
	return found
}

// A process that starts on a Redis without a store accepts no loss: with MustExist every call is unavailable and nothing is
// written, until Init was called by whichever process.
func TestMustExistRefusesAnEmptyRedis(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		rdb, ctx := r.Client(t), t.Context()
		w := newWriter(t, rdb, Options{MustExist: true})
		for _, calls := range []map[string]func() error{w.writes(ctx), w.reads(ctx)} {
			for name, call := range calls {
				err := call()
				if !errors.Is(err, ErrUninitialised) || !errors.Is(err, fosite.ErrTemporarilyUnavailable) || errors.Is(err, fosite.ErrNotFound) {
					t.Errorf("%s: %v, want ErrUninitialised", name, err)
				}
			}
		}
		if keys := r.Keys(t); len(keys) > 0 {
			t.Fatalf("written: %q", keys)
		}
		status, err := w.store.Status(ctx)
		if err != nil || status.Initialised || status.Clients+status.Users+status.Roles > 0 || status.SigningKeys {
			t.Errorf("status: %+v, %v", status, err)
		}

		operator := newWriter(t, r.Client(t), Options{MustExist: true}).store
		if err := operator.Init(ctx); err != nil {
			t.Fatal(err)
		}
		wantErr(t, "init again", operator.Init(ctx), ErrInitialised)
		wantErr(t, "accept a loss that is none", operator.AcceptLoss(ctx), ErrInitialised)
		w.fill(t)
		status, err = w.store.Status(ctx)
		if err != nil || !status.Initialised || status.Clients != 1 || status.Users != 2 || status.Roles != 3 || !status.SigningKeys {
			t.Errorf("status: %+v, %v", status, err)
		}

		// What is left of a store is not taken for a new one.
		if err := rdb.Del(ctx, w.store.db.Keys.Epoch()).Err(); err != nil {
			t.Fatal(err)
		}
		wantErr(t, "init of remains", operator.Init(ctx), ErrRemains)
		if err := operator.AcceptLoss(ctx); err != nil {
			t.Fatal(err)
		}
		if _, err := w.store.Users.User(ctx, "nobody"); !errors.Is(err, ErrLost) {
			t.Errorf("a process from before the loss: %v", err)
		}
		fresh := newWriter(t, rdb, Options{MustExist: true}).store
		if _, err := fresh.Users.User(ctx, "alice"); err != nil {
			t.Errorf("a process from after the loss: %v", err)
		}
	})
}

// Every command that changes something is a script: that is what carries the epoch. A new method that writes by itself fails
// here as soon as it is in the table.
func TestOnlyScriptsWrite(t *testing.T) {
	r := storagetest.StartMiniredis(t)
	rdb, ctx := r.Client(t), t.Context()
	w := newWriter(t, rdb, Options{})
	w.fill(t)
	var names commandNames
	rdb.AddHook(&names)
	for _, calls := range []map[string]func() error{w.writes(ctx), w.reads(ctx)} {
		for _, call := range calls {
			_ = call()
		}
	}
	allowed := []string{
		"client", "hello", "eval", "evalsha", "exists", "get", "hget", "hgetall", "hmget", "info", "mget", "pttl", "scan", "smembers", "time", "zrange", "zrangebylex",
		"zrevrange", "zscore",
	}
	for name := range names.seen {
		if !slices.Contains(allowed, name) {
			t.Errorf("%s is sent to Redis outside a script", name)
		}
	}
	if !names.seen["evalsha"] || !names.seen["zrange"] {
		t.Errorf("seen: %v", names.seen)
	}
}

// commandNames is a go-redis hook that notes the commands that are sent.
type commandNames struct {
	mutex sync.Mutex
	seen  map[string]bool
}

func (c *commandNames) add(cmds ...redis.Cmder) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.seen == nil {
		c.seen = make(map[string]bool)
	}
	for _, cmd := range cmds {
		c.seen[cmd.Name()] = true
	}
}

func (c *commandNames) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (c *commandNames) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error { c.add(cmd); return next(ctx, cmd) }
}

func (c *commandNames) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error { c.add(cmds...); return next(ctx, cmds) }
}

// What another store holds under the same names is not this store's: a right secret would be refused, and tokens by keys that are
// not in the set.
func TestRecordsOfAnotherStoreAreUnavailable(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		rdb, ctx := r.Client(t), t.Context()
		fill := func() *Store {
			s, err := New(rdb, Options{Password: cheap, Timeout: hang, ClientCache: -1})
			if err != nil {
				t.Fatal(err)
			}
			err = s.PutClient(ctx, &Client{ID: "web", Secrets: []string{newGeneration()}, Grants: []string{"password"}})
			if err == nil {
				err = s.Keys.SaveKeys(ctx, []byte("[]"), "")
			}
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		old := fill()
		if err := rdb.FlushAll(ctx).Err(); err != nil {
			t.Fatal(err)
		}
		fill()
		_, err := old.Client(ctx, "web")
		wantErr(t, "client", err, fosite.ErrTemporarilyUnavailable)
		_, _, err = old.Keys.LoadKeys(ctx)
		wantErr(t, "keys", err, fosite.ErrTemporarilyUnavailable)
	})
}

// A store of the version before is taken over at the first contact: its servers, which do not know the records of this version, are
// unavailable from then on, and refuse nobody.
func TestTheEpochOfTheVersionBefore(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		rdb, ctx, keys := r.Client(t), t.Context(), redisdb.Keys{Prefix: "opgrant:"}
		for name, interrupted := range map[string]bool{"first": false, "after an interruption": true} {
			if err := rdb.FlushAll(ctx).Err(); err != nil {
				t.Fatal(err)
			}
			if err := rdb.Set(ctx, keys.OldEpoch(), "known", 0).Err(); err != nil {
				t.Fatal(err)
			}
			if interrupted {
				if err := rdb.Set(ctx, keys.Epoch(), "known", 0).Err(); err != nil {
					t.Fatal(err)
				}
			}
			s := newWriter(t, rdb, Options{MustExist: true}).store
			if status, err := s.Status(ctx); err != nil || !status.Initialised || rdb.Exists(ctx, keys.OldEpoch()).Val() != 1 {
				t.Errorf("%s: status: %+v, %v, which must change nothing", name, status, err)
			}
			wantErr(t, name+": accept a loss that is none", newWriter(t, rdb, Options{MustExist: true}).store.AcceptLoss(ctx), ErrInitialised)
			wantErr(t, name+": a user", func() error { _, err := s.Users.User(ctx, "nobody"); return err }(), fosite.ErrNotFound)
			wantErr(t, name+": a user, another process", func() error {
				_, err := newWriter(t, rdb, Options{MustExist: true}).store.Users.User(ctx, "nobody")
				return err
			}(), fosite.ErrNotFound)
			if now := rdb.Get(ctx, keys.Epoch()).Val(); now != "known" {
				t.Errorf("%s: epoch %q", name, now)
			}
			// A server of that version that starts now would write an epoch, and know no session.
			if wrote, err := rdb.SetNX(ctx, keys.OldEpoch(), "new", 0).Result(); wrote || err != nil {
				t.Errorf("%s: a new epoch of the version before: %t, %v", name, wrote, err)
			}
			if found, err := rdb.Get(ctx, keys.OldEpoch()).Result(); !redis.HasErrorPrefix(err, "WRONGTYPE") {
				t.Errorf("%s: the epoch of the version before: %q, %v", name, found, err)
			}
		}
	})
}
