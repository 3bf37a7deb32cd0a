package password

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/opgrant/opgrant/authserver/policy"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/crypto/scrypt"

	"github.com/opgrant/opgrant/storage/internal/password/passwordtest"
)

const (
	salt16 = "c29tZXNhbHRzb21lc2FsdA"                      // 16 bytes
	key32  = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8" // 32 bytes
)

// The stored forms of others, made here with implementations other than the one that verifies.
func foreignHashes(t *testing.T, password string) map[string]string {
	t.Helper()
	b64 := base64.RawStdEncoding.EncodeToString
	adapted := base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789./").WithPadding(base64.NoPadding)
	salt := []byte("0123456789abcdef")
	bc, err := bcrypt.GenerateFromPassword([]byte(password), 4)
	if err != nil {
		t.Fatal(err)
	}
	sc, err := scrypt.Key([]byte(password), salt, 1<<10, 8, 1, 32)
	if err != nil {
		t.Fatal(err)
	}
	pb, err := pbkdf2.Key(sha256.New, password, salt, 1000, 32)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"argon2id": passwordtest.Argon2(password, string(salt), 256, 3, 4),
		"bcrypt":   string(bc),
		"2y":       "$2y" + string(bc[3:]),
		"2b":       "$2b" + string(bc[3:]),
		"scrypt":   fmt.Sprintf("$scrypt$ln=10,r=8,p=1$%s$%s", b64(salt), b64(sc)),
		"pbkdf2":   fmt.Sprintf("$pbkdf2-sha256$1000$%s$%s", adapted.EncodeToString(salt), adapted.EncodeToString(pb)),
	}
}

func TestForeignHashesVerifyOnceAndAreReplaced(t *testing.T) {
	const password = "cafe\u0301" // not in NFKC: it must be verified as it came
	h := mustNew(t, cheap)
	for name, stored := range foreignHashes(t, password) {
		scheme, err := Scheme("", stored)
		if err != nil || scheme != SchemeCrypt {
			t.Fatalf("%s: scheme %q, %v", name, scheme, err)
		}
		if ok, fresh := mustVerify(t, h, scheme, stored, "cafe\u0301x"); ok || fresh != "" {
			t.Errorf("%s: a wrong password passes: %v %q", name, ok, fresh)
		}
		ok, fresh := mustVerify(t, h, scheme, stored, password)
		if !ok || !strings.HasPrefix(fresh, "$argon2id$v=19$m=64,t=1,p=1$") {
			t.Fatalf("%s: %v, replaced by %q", name, ok, fresh)
		}
		if ok, again := mustVerify(t, h, "", fresh, "caf\u00e9"); !ok || again != "" {
			t.Errorf("%s: replacement verifies: %v, replaced again: %q", name, ok, again)
		}
	}
}

func TestTamperedHashesAreRefusedWhenTheyAreRead(t *testing.T) {
	tail := "$" + salt16 + "$" + key32
	good := "$argon2id$v=19$m=64,t=1,p=1" + tail
	if _, err := Parse("", good); err != nil {
		t.Fatalf("the good one: %v", err)
	}
	bcryptTail := strings.Repeat("a", 53)
	for name, stored := range map[string]string{
		"4 GiB of memory":           "$argon2id$v=19$m=4194304,t=1,p=1" + tail,
		"more memory than 32 bits":  "$argon2id$v=19$m=99999999,t=1,p=1" + tail,
		"2^32 passes":               "$argon2id$v=19$m=64,t=4294967296,p=1" + tail,
		"many passes":               "$argon2id$v=19$m=64,t=33,p=1" + tail,
		"too much work":             "$argon2id$v=19$m=1048576,t=5,p=1" + tail,
		"255 lanes":                 "$argon2id$v=19$m=65536,t=1,p=255" + tail,
		"no lanes":                  "$argon2id$v=19$m=64,t=1,p=0" + tail,
		"no memory":                 "$argon2id$v=19$m=0,t=1,p=1" + tail,
		"no passes":                 "$argon2id$v=19$m=64,t=0,p=1" + tail,
		"less memory than lanes":    "$argon2id$v=19$m=8,t=1,p=2" + tail,
		"version 16":                "$argon2id$v=16$m=64,t=1,p=1" + tail,
		"no version":                "$argon2id$m=64,t=1,p=1" + tail,
		"empty salt":                "$argon2id$v=19$m=64,t=1,p=1$$" + key32,
		"short salt":                "$argon2id$v=19$m=64,t=1,p=1$AAAA$" + key32,
		"empty key":                 "$argon2id$v=19$m=64,t=1,p=1$" + salt16 + "$",
		"short key":                 "$argon2id$v=19$m=64,t=1,p=1$" + salt16 + "$AAAA",
		"memory said twice":         "$argon2id$v=19$m=64,m=4194304,t=1,p=1" + tail,
		"argon2i":                   "$argon2i$v=19$m=64,t=1,p=1" + tail,
		"argon2d":                   "$argon2d$v=19$m=64,t=1,p=1" + tail,
		"spaces":                    " " + good,
		"newline":                   good + "\n",
		"something after":           good + "$x",
		"bcrypt of cost 31":         "$2b$31$" + bcryptTail,
		"bcrypt of cost 0":          "$2b$00$" + bcryptTail,
		"broken bcrypt":             "$2x$10$" + bcryptTail,
		"short bcrypt":              "$2b$10$" + bcryptTail[1:],
		"scrypt of 2^40":            "$scrypt$ln=40,r=8,p=1" + tail,
		"scrypt of large blocks":    "$scrypt$ln=20,r=1024,p=1" + tail,
		"scrypt of many lanes":      "$scrypt$ln=20,r=8,p=9999" + tail,
		"scrypt without a salt":     "$scrypt$ln=10,r=8,p=1$$" + key32,
		"pbkdf2 of 99 million":      "$pbkdf2-sha256$99999999" + tail,
		"pbkdf2 of minus one":       "$pbkdf2-sha256$-1" + tail,
		"pbkdf2 of none":            "$pbkdf2-sha256$0" + tail,
		"md5crypt":                  "$1$saltsalt$abcdefghijklmnopqrstuv",
		"plain text":                "$plaintext$secret",
		"LDAP prefix":               "{CRYPT}" + good,
		"nothing":                   "",
		"a dollar":                  "$",
		"a long one":                "$argon2id$v=19$m=64,t=1,p=1$" + strings.Repeat("A", 4096) + "$" + key32,
		"a password in the clear":   "CANARY-secret",
		"a salt that is not base64": "$argon2id$v=19$m=64,t=1,p=1$CANARYCANARYC$" + key32,
		"trailing bits in the salt": "$argon2id$v=19$m=64,t=1,p=1$CANARY====$" + key32,
	} {
		for _, scheme := range []string{"", SchemeCrypt} {
			_, err := Parse(scheme, stored)
			wantErr(t, name, err, ErrHash)
			if err != nil && strings.Contains(err.Error(), "CANARY") {
				t.Errorf("%s: the error tells it: %v", name, err)
			}
		}
	}
	if _, err := Parse("", foreignHashes(t, "x")["bcrypt"]); !errors.Is(err, ErrHash) {
		t.Errorf("bcrypt as our own form: %v", err)
	}
	if _, err := Parse("rot13", good); !errors.Is(err, ErrHash) {
		t.Errorf("unknown scheme: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"$argon2id$v=19$m=64,t=1,p=1$" + salt16 + "$" + key32, "$2b$10$" + strings.Repeat("a", 53),
		"$scrypt$ln=10,r=8,p=1$" + salt16 + "$" + key32, "$pbkdf2-sha256$1000$" + salt16 + "$" + key32,
		"0123456789abcdef$argon2id$v=19$m=64,t=1,p=1$" + salt16 + "$" + key32, strings.Repeat("a", 80), strings.Repeat("a", 41),
	} {
		f.Add("", s)
		f.Add("md5", s)
	}
	f.Fuzz(func(t *testing.T, said, stored string) {
		scheme, err := Scheme(said, stored)
		if err != nil {
			if !errors.Is(err, ErrHash) {
				t.Fatalf("%q: %v", stored, err)
			}
			return
		}
		s, err := Parse(scheme, stored)
		if err != nil {
			t.Fatalf("%q is %q and is not: %v", stored, scheme, err)
		}
		if s.costs != nil && s.costs.MemoryKiB > policy.MaxPasswordMemoryKiB {
			t.Fatalf("%q: costs %+v", stored, s.costs)
		}
	})
}
