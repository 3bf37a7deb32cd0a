package cli

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/alicebob/miniredis/v2/server"

	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// Wherever an import is interrupted, no key of the old server is accepted and no role makes a super user before every user is as at
// the source; and running it again completes it.
func TestAnInterruptedImportLeavesNothingDangerous(t *testing.T) {
	dir := t.TempDir()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write(".jwtPrivate.key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	const users = 350 // more than one part
	var rows []string
	for i := range users {
		rows = append(rows, fmt.Sprintf(`{"username":"user %d","password":%q,"role":"boss","active":true,"hash_function":"sha256"}`, i, goodHash))
	}
	rows = append(rows, `{"id":"boss","role":"boss","permission":{"super_user":true}}`)
	source := write("rows.json", []byte("["+strings.Join(rows, ",")+"]"))

	// run imports into a new store, whose Redis fails from a write on, and returns how many writes it saw.
	run := func(fails int64) (*storagetest.Instance, string, output, int64) {
		r := storagetest.StartMiniredis(t)
		address := "redis://" + r.Addr
		if out := runImport(t, "store", "init", "--redis", address); out.err != nil {
			t.Fatal(out.err)
		}
		var writes atomic.Int64
		var crashed atomic.Bool
		r.Mini.Server().SetPreHook(func(c *server.Peer, cmd string, _ ...string) bool {
			if strings.HasPrefix(strings.ToUpper(cmd), "EVAL") && writes.Add(1) >= fails {
				crashed.Store(true)
			}
			if crashed.Load() {
				c.WriteError("ERR crashed")
			}
			return crashed.Load()
		})
		out := runImport(t, "import", "harper", "--redis", address, "--keys", dir, "--from", source)
		r.Mini.Server().SetPreHook(nil)
		return r, address, out, writes.Load()
	}
	_, _, out, total := run(math.MaxInt64)
	if out.err != nil {
		t.Fatal(out.err)
	}
	// Between the second and the last there is one write for each user.
	for _, fails := range []int64{1, 2, 3, 4, 5, 6, 150, total - 60, total - 5, total - 4, total - 3, total - 2, total - 1, total} {
		r, address, out, _ := run(fails)
		if out.err == nil {
			t.Fatalf("write %d of %d fails, and the import does not", fails, total)
		}
		store, err := storage.New(r.Client(t), storage.Options{})
		if err != nil {
			t.Fatal(err)
		}
		list, err := store.Users.ListUsers(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		supers := 0
		for _, u := range list {
			if u.SuperUser {
				supers++
			}
		}
		if supers > 0 && len(list) != users {
			t.Errorf("write %d fails: %d users, of whom %d are super users", fails, len(list), supers)
		}
		var keys []struct{ Imported bool }
		listed := runImport(t, "key", "list", "--redis", address, "--output", "json")
		if err := json.Unmarshal([]byte(listed.stdout), &keys); err != nil {
			t.Fatalf("%v: %s", err, listed.stderr)
		}
		for _, k := range keys {
			if k.Imported && (len(list) != users || supers != users) {
				t.Errorf("write %d fails: there is the key, and %d users", fails, len(list))
			}
		}
		if again := runImport(t, "import", "harper", "--redis", address, "--keys", dir, "--from", source); again.err != nil {
			t.Fatalf("write %d fails, again: %v", fails, again.err)
		}
		if list, err = store.Users.ListUsers(t.Context()); err != nil || len(list) != users {
			t.Errorf("write %d fails, again: %d users, %v", fails, len(list), err)
		}
	}
}
