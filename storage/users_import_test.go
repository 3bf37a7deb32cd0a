package storage

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage/internal/password/passwordtest"
	"github.com/opgrant/opgrant/storage/storagetest"
)

func imported(t *testing.T, u *Users, user User, hash string) bool {
	t.Helper()
	changed, err := importUser(t.Context(), u, user, hash)
	if err != nil {
		t.Fatalf("import %s: %v", user.Name, err)
	}
	return changed
}

func TestImportingAgainChangesNothing(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		u, ctx := testUsers(t, r), t.Context()
		for scheme, hash := range passwordtest.Harper("one") {
			user := User{Name: scheme, Role: "r", Active: true, Scheme: scheme, Created: time.UnixMilli(1_600_000_000_123)}
			if !imported(t, u, user, hash) {
				t.Errorf("%s: the first import changes nothing", scheme)
			}
			if got := record(t, u, scheme).Created; got != 1_600_000_000_123 {
				t.Errorf("%s: created %d", scheme, got)
			}
			before := record(t, u, scheme)
			if imported(t, u, user, hash) {
				t.Errorf("%s: the second import changes something", scheme)
			}
			if diff := cmp.Diff(before, record(t, u, scheme)); diff != "" {
				t.Errorf("%s: %s", scheme, diff)
			}
			if _, err := u.Authenticate(ctx, scheme, "one"); err != nil {
				t.Fatal(err)
			}
			before = record(t, u, scheme)
			alive := openSession(t, u, scheme)
			if imported(t, u, user, hash) {
				t.Errorf("%s: an import after the login changes something", scheme)
			}
			if diff := cmp.Diff(before, record(t, u, scheme)); diff != "" || !alive() {
				t.Errorf("%s: after the login: %s, session alive: %v", scheme, diff, alive())
			}
		}
	})
}

func TestImportFollowsItsSourceUntilTheUserIsOurs(t *testing.T) {
	u, ctx := testUsers(t, storagetest.StartMiniredis(t)), t.Context()
	login := func(what, password string, want error) {
		t.Helper()
		_, err := u.Authenticate(ctx, "alice", password)
		wantErr(t, what, err, want)
	}
	alice := User{Name: "alice", Active: true}
	imported(t, u, alice, passwordtest.HarperMD5("one"))
	alive := openSession(t, u, "alice")
	if !imported(t, u, alice, passwordtest.HarperSHA256("two")) || alive() {
		t.Errorf("a password changed at the source: session alive: %v", alive())
	}
	login("old", "one", fosite.ErrNotFound)
	login("new", "two", nil)

	alice.Active = false
	if !imported(t, u, alice, passwordtest.HarperSHA256("two")) {
		t.Error("disabled at the source: no change")
	}
	login("disabled", "two", fosite.ErrNotFound)

	on, three := true, "three"
	if err := u.ChangeUser(ctx, "alice", UserChange{Active: &on, Password: &three}); err != nil {
		t.Fatal(err)
	}
	if imported(t, u, alice, passwordtest.HarperMD5("four")) {
		t.Error("an import changes a user that was changed here")
	}
	login("changed here", "three", nil)

	mustAdd(t, u, "bob", "ours", "")
	results, err := u.ImportUsers(ctx, []Import{{User: User{Name: "bob"}, Hash: passwordtest.HarperMD5("x")}}, false)
	if err != nil || results[0].Outcome != ImportKept {
		t.Errorf("a user of ours: %+v, %v", results, err)
	}
}

func TestImportRefusesRowsOneByOne(t *testing.T) {
	u, ctx := testUsers(t, storagetest.StartMiniredis(t)), t.Context()
	good := passwordtest.HarperMD5("x")
	rows := []Import{
		{User: User{Name: "a"}, Hash: good},
		{User: User{Name: "b"}, Hash: "in the clear"},
		{User: User{Name: "c\xff"}, Hash: good},
		{User: User{Name: "a"}, Hash: good},
		{User: User{Name: "d", Scheme: "SHA256"}, Hash: passwordtest.HarperSHA256("x")},
		{User: User{Name: "e"}},
	}
	want := []ImportOutcome{ImportAdded, ImportRefused, ImportRefused, ImportRefused, ImportAdded, ImportAdded}
	for _, dry := range []bool{true, false} {
		results, err := u.ImportUsers(ctx, rows, dry)
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range results {
			if r.Outcome != want[i] || r.Name != rows[i].User.Name || (r.Err != nil) != (want[i] == ImportRefused) {
				t.Errorf("dry %v, %q: %+v", dry, rows[i].User.Name, r)
			}
		}
		list, err := u.ListUsers(ctx)
		if n := map[bool]int{true: 0, false: 3}[dry]; err != nil || len(list) != n {
			t.Errorf("dry %v: %v, %v", dry, list, err)
		}
	}
	_, err := importUser(ctx, u, User{Name: "b"}, "in the clear")
	wantErr(t, "refused", err, ErrHash)
}

// Many users with the three kinds of hashes, then one login of each kind, then all again. With OPGRANT_TEST_FAULTS they are ten
// thousand.
func TestImportOfManyUsers(t *testing.T) {
	n := 1_000
	if os.Getenv("OPGRANT_TEST_FAULTS") != "" {
		n = 10_000
	}
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		u, ctx := testUsers(t, r), t.Context()
		argon := passwordtest.Salt16 + passwordtest.Argon2("password 2", passwordtest.Salt16, 65536, 3, 4) // one for all: making them is not the matter
		users := make([]Import, n)
		for i := range users {
			users[i].User = User{Name: fmt.Sprintf("user-%05d", i), Role: "role", Active: i%10 != 9}
			salt9, salt16 := fmt.Sprintf("s%08d", i), fmt.Sprintf("salt%012d", i)
			switch password := fmt.Sprint("password ", i); i % 3 {
			case 0:
				sum := md5.Sum([]byte(password + salt9))
				users[i].Hash = salt9 + hex.EncodeToString(sum[:])
			case 1:
				sum := sha256.Sum256([]byte(password + salt16))
				users[i].Hash, users[i].User.Scheme = salt16+hex.EncodeToString(sum[:]), SchemeSHA256
			case 2:
				users[i].Hash, users[i].User.Scheme = argon, SchemeArgon2id
			}
		}
		importAll := func(want ImportOutcome) {
			t.Helper()
			results, err := u.ImportUsers(ctx, users, false)
			if err != nil || len(results) != n {
				t.Fatalf("%d results, %v", len(results), err)
			}
			for _, r := range results {
				if r.Outcome != want {
					t.Fatalf("%+v, want %s", r, want)
				}
			}
		}
		importAll(ImportAdded)
		for _, i := range []int{0, 1, 2} {
			if _, err := u.Authenticate(ctx, users[i].User.Name, fmt.Sprint("password ", i)); err != nil {
				t.Errorf("login of user %d: %v", i, err)
			}
		}
		importAll(ImportUnchanged)
		list, err := u.ListUsers(ctx)
		if err != nil || len(list) != n {
			t.Fatalf("%d users, %v", len(list), err)
		}
		for i, l := range list {
			if want := i > 2; (l.Scheme != SchemeArgon2id) != want && i%3 != 2 {
				t.Errorf("user %d is stored as %q", i, l.Scheme)
			}
		}
	})
}

func TestImportTakesUpAfterACrash(t *testing.T) {
	r := storagetest.StartMiniredis(t)
	rdb, hook := r.Client(t), &failing{after: -1, err: errors.New("crash")}
	rdb.AddHook(hook)
	u, err := NewUsers(rdb, Options{Password: cheap, Timeout: hang})
	if err != nil {
		t.Fatal(err)
	}
	var rows []Import
	for i := range 700 {
		rows = append(rows, Import{User: User{Name: fmt.Sprint(i), Active: true}, Hash: passwordtest.HarperMD5("x")})
	}
	for step := range 8 {
		hook.set(step)
		if _, err := u.ImportUsers(t.Context(), rows, false); err == nil {
			break
		}
	}
	hook.set(-1)
	if _, err := u.ImportUsers(t.Context(), rows, false); err != nil {
		t.Fatal(err)
	}
	if list, err := u.ListUsers(t.Context()); len(list) != len(rows) || err != nil {
		t.Errorf("%d users, %v", len(list), err)
	}
}
