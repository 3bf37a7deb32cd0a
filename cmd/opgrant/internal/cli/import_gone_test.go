package cli

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2/server"

	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// A user who is gone at the source is removed before the role of the user becomes one of super users, wherever the import is
// interrupted.
func TestAGoneUserIsRemovedBeforeTheRoleRises(t *testing.T) {
	dir := t.TempDir()
	write := func(name, permission string, users ...string) string {
		rows := []string{fmt.Sprintf(`{"id":"staff","role":"staff","permission":%s}`, permission)}
		for _, u := range users {
			rows = append(rows, fmt.Sprintf(`{"username":%q,"password":%q,"role":"staff","active":true,"hash_function":"sha256"}`, u, goodHash))
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("["+strings.Join(rows, ",")+"]"), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	before, after := write("before", `{"super_user":false}`, "stays", "leaves"), write("after", `{"super_user":true}`, "stays")
	run := func(fails int64) (users []storage.User, writes int64) {
		r := storagetest.StartMiniredis(t)
		address := "redis://" + r.Addr
		for _, args := range [][]string{{"store", "init"}, {"import", "harper", "--from", before}} {
			if out := runImport(t, append(args, "--redis", address)...); out.err != nil {
				t.Fatal(out.err)
			}
		}
		var count atomic.Int64
		r.Mini.Server().SetPreHook(func(c *server.Peer, cmd string, _ ...string) bool {
			crashed := strings.HasPrefix(strings.ToUpper(cmd), "EVAL") && count.Add(1) >= fails
			if crashed {
				c.WriteError("ERR crashed")
			}
			return crashed
		})
		out := runImport(t, "import", "harper", "--redis", address, "--remove-gone", "--from", after)
		r.Mini.Server().SetPreHook(nil)
		if (out.err == nil) != (fails == math.MaxInt64) {
			t.Fatalf("write %d fails: %v", fails, out.err)
		}
		store, err := storage.New(r.Client(t), storage.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if users, err = store.Users.ListUsers(t.Context()); err != nil {
			t.Fatal(err)
		}
		return users, count.Load()
	}
	users, total := run(math.MaxInt64)
	if len(users) != 1 || !users[0].SuperUser {
		t.Fatalf("%+v", users)
	}
	for fails := int64(1); fails <= total; fails++ {
		users, _ := run(fails)
		for _, u := range users {
			if u.Name == "leaves" && u.Active && u.SuperUser {
				t.Errorf("write %d of %d fails: a user who is gone is a super user", fails, total)
			}
		}
	}
}

// Without --remove-gone the user stays, and rises with the role: the operator is told.
func TestAGoneUserWhoRisesIsTold(t *testing.T) {
	address := "redis://" + storagetest.StartMiniredis(t).Addr
	path := filepath.Join(t.TempDir(), "rows.json")
	run := func(permission string, users string, args ...string) output {
		rows := `{"hdb_role":[{"id":"staff","role":"staff","permission":` + permission + `}],"hdb_user":[` + users + `]}`
		if err := os.WriteFile(path, []byte(rows), 0o600); err != nil {
			t.Fatal(err)
		}
		out := runImport(t, append(args, "--redis", address)...)
		if out.err != nil {
			t.Fatal(out.err)
		}
		return out
	}
	user := func(name string) string {
		return fmt.Sprintf(`{"username":%q,"password":%q,"role":"staff","active":true,"hash_function":"sha256"}`, name, goodHash)
	}
	run(`{}`, user("stays"), "store", "init")
	run(`{}`, user("stays")+","+user("leaves"), "import", "harper", "--from", path)
	const told = "gone from the source, but active here with a role of super users: 1 (leaves)"
	for permission, want := range map[string]bool{`{}`: false, `{"super_user":true}`: true} {
		for _, dry := range []string{"--dry-run=true", "--dry-run=false"} {
			out := run(permission, user("stays"), "import", "harper", "--from", path, dry)
			if got := strings.Contains(out.stderr, told); got != want {
				t.Errorf("%s %s: %s", permission, dry, out.stderr)
			}
		}
	}
	if out := run(`{"super_user":true}`, user("stays"), "import", "harper", "--from", path, "--remove-gone"); strings.Contains(out.stderr, told) {
		t.Errorf("with --remove-gone: %s", out.stderr)
	}
}

// A user who has logged in for the first time since the source was read is not gone.
func TestNobodyIsGoneWhoCameAfterTheFile(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		address, ctx := "redis://"+r.Addr, t.Context()
		if out := runImport(t, "store", "init", "--redis", address); out.err != nil {
			t.Fatal(out.err)
		}
		store, err := storage.New(r.Client(t), storage.Options{Password: policy.PasswordCosts{MemoryKiB: policy.MinPasswordMemoryKiB, Iterations: 1}})
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "users.json")
		row := fmt.Sprintf(`[{"username":"alice","password":%q,"active":true,"hash_function":"sha256"}]`, goodHash)
		if err := os.WriteFile(path, []byte(row), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := store.Users.AddVerifiedUser(ctx, storage.User{Name: "olga", Active: true}, "right"); err != nil {
			t.Fatal(err)
		}
		for _, test := range []struct {
			age  time.Duration // of the file
			gone bool
		}{{time.Hour, false}, {-time.Hour, true}} {
			at := time.Now().Add(-test.age)
			if err := os.Chtimes(path, at, at); err != nil {
				t.Fatal(err)
			}
			if out := runImport(t, "import", "harper", "--redis", address, "--remove-gone", "--from", path); out.err != nil {
				t.Fatal(out.err)
			}
			if _, err := store.Users.User(ctx, "olga"); (err != nil) != test.gone {
				t.Errorf("a file of %s ago: %v", test.age, err)
			}
		}
	})
}
