package storage

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ory/fosite"
	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage/internal/password"
	"github.com/opgrant/opgrant/storage/internal/password/passwordtest"
	"github.com/opgrant/opgrant/storage/internal/redisdb"
	"github.com/opgrant/opgrant/storage/storagetest"
	"github.com/opgrant/opgrant/storage/throttle"
)

// outages are what Redis answers when it cannot serve.
var outages = []string{
	"LOADING Redis is loading the dataset in memory", "READONLY You can't write against a read only replica.",
	"MASTERDOWN Link with MASTER is down", "CLUSTERDOWN The cluster is down", "OOM command not allowed when used memory > 'maxmemory'.",
	"MISCONF Redis is configured to save RDB snapshots", "NOAUTH Authentication required.", "BUSY Redis is busy running a script",
	"NOPERM this user has no permissions", "TRYAGAIN Multiple keys request during rehashing of slot", "something new",
}

func TestOutagesAreUnavailable(t *testing.T) {
	r := storagetest.StartMiniredis(t)
	u, ctx := testUsers(t, r), t.Context()
	th := u.Throttle()
	attempt, err := th.Reserve(ctx, "alice", "192.0.2.1", nil)
	if err != nil {
		t.Fatal(err)
	}
	mustAdd(t, u, "alice", "one", "admin")
	if _, err := u.AddRole(ctx, Role{ID: "admin", Permission: []byte(`{}`)}); err != nil {
		t.Fatal(err)
	}
	pass := "two"
	calls := map[string]func() error{
		"Authenticate":            func() error { _, err := u.Authenticate(ctx, "alice", "one"); return err },
		"Authenticate none":       func() error { _, err := u.Authenticate(ctx, "nobody", "one"); return err },
		"VerifyPassword":          func() error { _, err := u.VerifyPassword(ctx, "alice", "one", ""); return err },
		"Claims":                  func() error { _, err := u.Claims(ctx, "alice"); return err },
		"User":                    func() error { _, err := u.User(ctx, "alice"); return err },
		"ListUsers":               func() error { _, err := u.ListUsers(ctx); return err },
		"AddUser":                 func() error { return u.AddUser(ctx, User{Name: "alice"}, "one") },
		"ChangeUser":              func() error { return u.ChangeUser(ctx, "alice", UserChange{Password: &pass}) },
		"AddVerifiedUser":         func() error { return u.AddVerifiedUser(ctx, User{Name: "alice"}, "one") },
		"DropUser":                func() error { return u.DropUser(ctx, "alice") },
		"ImportUser":              func() error { _, err := importUser(ctx, u, User{Name: "bob"}, ""); return err },
		"ImportedTokenValid":      func() error { return u.ImportedTokenValid(ctx, "alice", time.Now(), "") },
		"ImportedTokenValid none": func() error { return u.ImportedTokenValid(ctx, "nobody", time.Now(), "") },
		"RevokeSubject":           func() error { return tokensOf(u).RevokeSubject(ctx, "alice") },
		"Role":                    func() error { _, err := u.Role(ctx, "admin"); return err },
		"ListRoles":               func() error { _, err := u.ListRoles(ctx); return err },
		"AddRole":                 func() error { _, err := u.AddRole(ctx, Role{ID: "admin", Permission: []byte(`{}`)}); return err },
		"ChangeRole":              func() error { _, err := u.ChangeRole(ctx, Role{ID: "admin", Name: "x"}); return err },
		"DropRole":                func() error { return u.DropRole(ctx, "admin") },
		"Reserve":                 func() error { _, err := th.Reserve(ctx, "alice", "192.0.2.1", nil); return err },
		"Settle":                  func() error { return th.Settle(ctx, attempt, throttle.Failed) },
		"WrongSecret":             func() error { return th.WrongSecret(ctx, "web", "wrong", "192.0.2.1") },
		"List":                    func() error { _, err := th.List(ctx); return err },
		"ListUser":                func() error { _, _, err := th.ListUser(ctx, "alice"); return err },
		"ClearUser":               func() error { _, err := th.ClearUser(ctx, "alice", false); return err },
	}
	check := func(cause string) {
		t.Helper()
		for name, call := range calls {
			err := call()
			if !errors.Is(err, fosite.ErrTemporarilyUnavailable) || errors.Is(err, fosite.ErrNotFound) || errors.Is(err, ErrExists) {
				t.Errorf("%s, %s: %v", cause, name, err)
			}
		}
	}
	for _, outage := range outages {
		r.Mini.SetError(outage)
		check(outage)
	}
	r.Mini.SetError("")
	for name, call := range map[string]func() error{"claims": calls["Claims"], "login": calls["Authenticate"]} {
		if err := call(); err != nil {
			t.Errorf("%s after the outages: %v", name, err)
		}
	}

	// An emptied Redis knows nothing about anybody.
	_, err = u.User(ctx, "nobody")
	wantErr(t, "unknown user", err, fosite.ErrNotFound)
	r.Mini.FlushAll()
	check("emptied")
}

func TestLostRepliesChangeNoAnswer(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		rdb := r.Client(t)
		rdb.AddHook(repeating{})
		u, err := NewUsers(rdb, Options{Password: cheap, Timeout: hang})
		if err != nil {
			t.Fatal(err)
		}
		ctx, pass, off := t.Context(), "two", false
		mustAdd(t, u, "alice", "one", "")
		wantErr(t, "add again", u.AddUser(ctx, User{Name: "alice"}, "one"), ErrExists)
		if err := u.ChangeUser(ctx, "alice", UserChange{Password: &pass, Active: &off}); err != nil {
			t.Errorf("change: %v", err)
		}
		if !imported(t, u, User{Name: "bob", Active: true}, passwordtest.HarperMD5("one")) {
			t.Error("import: no change")
		}
		if _, err := u.Authenticate(ctx, "bob", "one"); err != nil {
			t.Errorf("login: %v", err)
		}
		if err := u.DropUser(ctx, "alice"); err != nil {
			t.Errorf("drop: %v", err)
		}
		wantErr(t, "drop again", u.DropUser(ctx, "alice"), fosite.ErrNotFound)

		role := Role{ID: "r", Permission: []byte(`{"super_user":true}`)}
		if _, err := u.AddRole(ctx, role); err != nil {
			t.Errorf("add role: %v", err)
		}
		_, err = u.AddRole(ctx, role)
		wantErr(t, "add role again", err, ErrExists)
		if _, err := u.ChangeRole(ctx, Role{ID: "r", Name: "x"}); err != nil {
			t.Errorf("change role: %v", err)
		}
		if err := u.DropRole(ctx, "r"); err != nil {
			t.Errorf("drop role: %v", err)
		}
		wantErr(t, "drop role again", u.DropRole(ctx, "r"), fosite.ErrNotFound)
	})
}

func TestBrokenRecordsAreUnavailable(t *testing.T) {
	u, ctx := testUsers(t, storagetest.StartMiniredis(t)), t.Context()
	for name, raw := range map[string]string{
		"of a newer version": `{"v":2,"name":"x","active":true}`,
		"no JSON":            `CANARY`,
		"absurd costs":       `{"v":1,"hash":"$argon2id$v=19$m=4194304,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8","active":true}`,
		"unknown scheme":     `{"v":1,"hash":"CANARY","scheme":"rot13","active":true}`,
	} {
		if err := u.db.Client.Set(ctx, u.db.Keys.User(redisdb.SubjectTag("alice")), raw, 0).Err(); err != nil {
			t.Fatal(err)
		}
		before := u.PasswordRuns()
		_, err := u.Authenticate(ctx, "alice", "one")
		if !errors.Is(err, fosite.ErrTemporarilyUnavailable) || errors.Is(err, fosite.ErrNotFound) || u.PasswordRuns() != before {
			t.Errorf("%s: %v, %d hashes", name, err, u.PasswordRuns()-before)
		}
		if err != nil && strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%s: the error quotes it: %v", name, err)
		}
	}
}

// The store's own time-out ends a login on a frozen Redis: the client has none that is shorter.
func TestFrozenRedisIsUnavailable(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		mustAdd(t, testUsers(t, r), "alice", "one", "")
		u, err := NewUsers(r.Client(t), Options{Password: cheap, Timeout: 200 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		heal := r.Break(t)
		answer := make(chan error, 1)
		go func() {
			_, err := u.Authenticate(t.Context(), "alice", "one")
			answer <- err
		}()
		select {
		case err := <-answer:
			wantErr(t, "login", err, fosite.ErrTemporarilyUnavailable)
		case <-time.After(20 * time.Second):
			t.Error("the login hangs")
		}
		heal()
		err = errors.New("not asked")
		for end := time.Now().Add(hang); err != nil && time.Now().Before(end); {
			_, err = u.Authenticate(t.Context(), "alice", "one")
		}
		if err != nil {
			t.Errorf("healed: %v", err)
		}
	})
}

// No password and no hash may show in an error or in a command other than the one that stores the hash.
func TestPasswordsStayOutOfErrorsAndRedis(t *testing.T) {
	const canary = "CANARY-password"
	r := storagetest.StartMiniredis(t)
	rdb, hook := r.Client(t), &failing{after: -1, err: errors.New("broken")}
	rdb.AddHook(hook)
	u, err := NewUsers(rdb, Options{Password: cheap, Timeout: hang})
	if err != nil {
		t.Fatal(err)
	}
	u.cache = password.NewCache(time.Minute)
	ctx := context.Background()
	var errs []error
	use := func() {
		pass := canary
		errs = append(errs, u.AddUser(ctx, User{Name: "alice", Active: true}, canary))
		for _, name := range []string{"alice", "nobody", "md5"} {
			_, err := u.Login(ctx, name, canary, "192.0.2.1")
			errs = append(errs, err)
		}
		errs = append(errs, u.ChangeUser(ctx, "alice", UserChange{Password: &pass}))
		_, err := importUser(ctx, u, User{Name: "md5", Active: true}, passwordtest.HarperMD5(canary))
		errs = append(errs, err)
		_, err = importUser(ctx, u, User{Name: "clear"}, canary)
		errs = append(errs, err, u.DropUser(ctx, "alice"))
		_, err = u.Authenticate(ctx, "alice", canary+strings.Repeat("x", MaxPassword))
		errs = append(errs, err, u.AddUser(ctx, User{Name: "bob"}, canary+strings.Repeat("x", MaxPassword)))
	}
	use()
	for after := range 6 {
		hook.set(after)
		use()
	}
	hook.set(-1)
	for _, err := range errs {
		if err == nil {
			continue
		}
		if text := fmt.Sprintf("%v %+v %#v", err, err, err); strings.Contains(text, "CANARY") || strings.Contains(text, "$argon2id$") {
			t.Errorf("an error tells it: %s", text)
		}
	}
	for _, line := range hook.lines {
		if strings.Contains(line, "CANARY") {
			t.Errorf("sent to Redis: %s", line)
		}
	}
	for _, key := range r.Keys(t) {
		if strings.Contains(key, "alice") {
			t.Errorf("key %q names the user", key)
		}
		if dump, err := rdb.Dump(ctx, key).Result(); err != nil && !errors.Is(err, redis.Nil) {
			t.Logf("dump %s: %v", key, err)
		} else if strings.Contains(dump, "CANARY") {
			t.Errorf("key %q holds the password", key)
		}
	}
}
