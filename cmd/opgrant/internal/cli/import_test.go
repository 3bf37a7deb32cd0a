package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// hashes of the password "secret", and what is not one.
const (
	goodHash  = "0123456789abcdefb3a0a0fb0a0af630795840fadb081b58f8b07d6fc15c44bdeab93ba01197aa38"
	otherHash = "fedcba9876543210b3a0a0fb0a0af630795840fadb081b58f8b07d6fc15c44bdeab93ba01197aa38"
)

// A dry run reports what the import then does, for any source and whatever happened here before, and it writes nothing.
func TestADryRunForeseesTheImport(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		address := "redis://" + r.Addr
		rdb := r.Client(t)
		seen := map[string]bool{}
		for seed := range uint64(25) {
			if err := rdb.FlushAll(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
			if out := runImport(t, "store", "init", "--redis", address); out.err != nil {
				t.Fatal(out.err)
			}
			store, err := storage.New(rdb, storage.Options{Password: policy.PasswordCosts{MemoryKiB: policy.MinPasswordMemoryKiB, Iterations: 1}})
			if err != nil {
				t.Fatal(err)
			}
			local := storage.User{Name: "local", Role: "boss", Active: seed%2 == 0}
			if err := store.Users.AddUser(t.Context(), local, "correct horse"); err != nil {
				t.Fatal(err)
			}
			odd := &oddSource{rand: rand.New(rand.NewPCG(seed, 1)), dir: t.TempDir()}
			for round := range 4 {
				args := odd.write(t)
				before := contentsOf(t, rdb)
				foreseen := runImport(t, append([]string{"import", "harper", "--redis", address, "--output", "json", "--dry-run"}, args...)...)
				if diff := cmp.Diff(before, contentsOf(t, rdb)); diff != "" {
					t.Fatalf("seed %d, round %d: the dry run writes: %s", seed, round, diff)
				}
				done := runImport(t, append([]string{"import", "harper", "--redis", address, "--output", "json"}, args...)...)
				if diff := cmp.Diff(foreseen.comparable(), done.comparable()); diff != "" {
					t.Fatalf("seed %d, round %d: %q: %s", seed, round, args, diff)
				}
				for _, what := range []string{"added", "updated", "unchanged", "kept", "gone", "removed", "refused", roleInUse, "nothing is removed"} {
					seen[what] = seen[what] || strings.Contains(strings.Join(done.comparable(), " "), what)
				}
				odd.changeHere(t.Context(), store)
			}
		}
		for what, found := range seen {
			if !found {
				t.Errorf("no import has met %q", what)
			}
		}
	})
}

type output struct {
	stdout, stderr string
	err            error
}

// comparable is what a dry run and the import have in common.
func (o output) comparable() []string {
	text := strings.Replace(o.stdout, `"dry_run": true`, `"dry_run": false`, 1)
	messages := strings.Replace(o.stderr, "dry run: nothing was changed\n", "", 1)
	return []string{text, strings.ReplaceAll(messages, ", would be removed", ", removed"), fmt.Sprint(o.err)}
}

func runImport(t *testing.T, args ...string) output {
	t.Helper()
	var out, messages bytes.Buffer
	err := Program{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &messages}.Run(t.Context(), args)
	return output{out.String(), messages.String(), err}
}

// contentsOf returns every key but the one that commands probe Redis with, and its content.
func contentsOf(t *testing.T, rdb redis.UniversalClient) map[string]string {
	t.Helper()
	ctx, found := t.Context(), map[string]string{}
	keys, err := rdb.Keys(ctx, "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		var value any
		switch kind := rdb.Type(ctx, key).Val(); kind {
		case "string":
			value = rdb.Get(ctx, key).Val()
		case "hash":
			value = rdb.HGetAll(ctx, key).Val()
		case "set":
			members := rdb.SMembers(ctx, key).Val()
			slices.Sort(members)
			value = members
		case "zset":
			value = rdb.ZRangeWithScores(ctx, key, 0, -1).Val()
		default:
			t.Fatalf("%s is a %s", key, kind)
		}
		found[key] = fmt.Sprint(value)
	}
	return found
}

// oddSource makes sources of rows that a server could have, and of rows that none has.
type oddSource struct {
	rand *rand.Rand
	dir  string
}

func (o *oddSource) pick(list ...any) any { return list[o.rand.IntN(len(list))] }

// write makes one or two files and the flags that read them.
func (o *oddSource) write(t *testing.T) []string {
	t.Helper()
	users, roles := []any{}, []any{}
	for range max(o.rand.IntN(9), o.rand.IntN(2)) { // seldom none
		row := map[string]any{
			"username": o.pick("alice", "bob", "carl", "dora", "ａｄｍｉｎ", "", "with space", "line\nbreak"),
			"password": o.pick(goodHash, goodHash, otherHash, goodHash[:41], "$2a$10$short"), "role": o.pick("staff", "boss", "none", nil),
			"active": o.pick(true, true, false), "hash_function": "sha256", "__createdtime__": o.pick(1700000000000, 1e300, -1, "x"),
		}
		if o.rand.IntN(6) == 0 {
			broken := o.pick("username", "password", "role", "active", "hash_function", "refresh_token").(string)
			row[broken] = o.pick(nil, 17, true, []string{}, map[string]string{}, "in the clear", "\ufffd")
		}
		users = append(users, o.rowOr(row))
	}
	for range max(o.rand.IntN(4), o.rand.IntN(2)) {
		roles = append(roles, o.rowOr(map[string]any{
			"id": o.pick("staff", "boss", "", "boss"), "role": o.pick("staff", "boss", "chief"),
			"permission": o.pick(map[string]bool{"super_user": true}, map[string]bool{"super_user": false}, map[string]int{"n": o.rand.IntN(9)}, map[string]int{}, o.pick([]string{}, nil, "x")),
		}))
	}
	file := func(name string, content any) string {
		raw, err := json.Marshal(content)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(o.dir, name)
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	var args []string
	switch o.rand.IntN(3) {
	case 0:
		args = []string{"--from", file("all.json", map[string]any{"hdb_user": users, "hdb_role": roles})}
	case 1:
		args = []string{"--from", file("users.json", users), "--from", file("roles.json", roles)}
	default:
		args = []string{"--from", file("rows.json", append(users, roles...))}
	}
	if o.rand.IntN(2) == 0 {
		args = append(args, "--remove-gone")
	}
	return args
}

// rowOr returns the row, or seldom something else.
func (o *oddSource) rowOr(row map[string]any) any {
	if o.rand.IntN(25) == 0 {
		return o.pick(nil, 17, "row", []string{}, map[string]string{}, map[string]string{"name": "dog"})
	}
	return row
}

// changeHere does what an administrator may do between two imports.
func (o *oddSource) changeHere(ctx context.Context, store *storage.Store) {
	off, role := false, "boss"
	name := o.pick("alice", "bob", "carl", "dora").(string)
	switch o.rand.IntN(6) {
	case 0:
		_ = store.Users.ChangeUser(ctx, name, storage.UserChange{Role: &role})
	case 1:
		_ = store.Users.ChangeUser(ctx, name, storage.UserChange{Active: &off})
	case 2:
		_ = store.Users.DropUser(ctx, name)
	case 3:
		_, _ = store.Users.ChangeRole(ctx, storage.Role{ID: role, Permission: []byte(`{"super_user":true,"here":1}`)})
	case 4:
		_ = store.Users.DropRole(ctx, o.pick("staff", "boss").(string))
	}
}

func TestProgressIsShownForWhatTakesLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var screen bytes.Buffer
		p := startProgress(&screen)
		p.set("imported %s of %s users", grouped(300), grouped(10_000))
		time.Sleep(progressDelay - time.Millisecond)
		p.end()
		if screen.Len() > 0 {
			t.Errorf("shown before its time: %q", screen.String())
		}

		p = startProgress(&screen)
		p.set("imported %s of %s users", grouped(300), grouped(10_000))
		time.Sleep(progressDelay + time.Millisecond)
		p.set("imported %s of %s users", grouped(4200), grouped(10_000))
		time.Sleep(progressEvery)
		p.end()
		p.end()
		want := "\r\x1b[Kimported 300 of 10,000 users\r\x1b[Kimported 4,200 of 10,000 users\r\x1b[K"
		if screen.String() != want {
			t.Errorf("%q, want %q", screen.String(), want)
		}
		(*progress)(nil).set("without a terminal")
		(*progress)(nil).end()
	})
}

// A role is in use although a further row of its user is refused, and a dry run tells.
func TestARoleIsInUseWhateverItsUsersOtherRows(t *testing.T) {
	r := storagetest.StartMiniredis(t)
	redis := "--redis=redis://" + r.Addr
	if out := runImport(t, "store", "init", redis); out.err != nil {
		t.Fatal(out.err)
	}
	file := func(name, content string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(content, "HASH", goodHash)), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	before := file("before.json", `[{"id":"boss","role":"boss","permission":{}},{"username":"bob","password":"HASH","hash_function":"sha256"}]`)
	if out := runImport(t, "import", "harper", redis, "--from", before); out.err != nil {
		t.Fatal(out.err)
	}
	now := file("now.json", `[{"id":"staff","role":"staff","permission":{}},{"username":"alice","password":"HASH","hash_function":"sha256","role":"boss"},
		{"username":"alice","password":17}]`)
	for _, dry := range []string{"--dry-run", "--dry-run=false"} {
		out := runImport(t, "import", "harper", redis, "--from", now, "--remove-gone", dry)
		if !strings.Contains(out.stderr, "role boss: gone from the source, not removed: an active user has it\n") || !strings.Contains(out.stderr, "user bob: gone") {
			t.Errorf("%s: %v\n%s", dry, out.err, out.stderr)
		}
	}
}
