package storage

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
)

const (
	harperSalt9  = "aB3dE6gH9"
	harperSalt16 = "aB3dE6gH9jK2mN5p"
)

func harperMD5(password string) string {
	sum := md5.Sum([]byte(password + harperSalt9))
	return harperSalt9 + hex.EncodeToString(sum[:])
}

func harperSHA256(password string) string {
	sum := sha256.Sum256([]byte(password + harperSalt16))
	return harperSalt16 + hex.EncodeToString(sum[:])
}

// harperHashes returns what HarperDB stores for a password, by the name of its hash_function. Its argon2id costs more in memory
// than this one, which the tests need not wait for.
func harperHashes(password string) map[string]string {
	return map[string]string{
		SchemeMD5:      harperMD5(password),
		SchemeSHA256:   harperSHA256(password),
		SchemeArgon2id: harperSalt16 + phcArgon2(password, harperSalt16, 64, 3, 4),
	}
}

func TestHarperHashesVerifyOnceAndAreReplaced(t *testing.T) {
	const password = "pässword:1"
	h := newHasher(cheap)
	for name, stored := range harperHashes(password) {
		for _, said := range []string{name, ""} {
			scheme, err := schemeOf(said, stored)
			if err != nil || scheme != name {
				t.Fatalf("%s, said to be %q: %q, %v", name, said, scheme, err)
			}
		}
		for _, wrong := range []string{"", "pässword:2", password + "x", strings.ToUpper(password), harperSalt16, harperSalt9} {
			if ok, fresh := mustVerify(t, h, name, stored, wrong); ok || fresh != "" {
				t.Errorf("%s: %q passes", name, wrong)
			}
		}
		ok, fresh := mustVerify(t, h, name, stored, password)
		if !ok || !strings.HasPrefix(fresh, "$argon2id$v=19$m=64,") {
			t.Errorf("%s: %v, replaced by %q", name, ok, fresh)
		}
		if ok, _ := mustVerify(t, h, "", fresh, password); !ok {
			t.Errorf("%s: the replacement does not verify", name)
		}
	}
	asStored := harperSalt16 + phcArgon2(password, harperSalt16, 65536, 3, 4)
	if ok, _ := mustVerify(t, h, SchemeArgon2id, asStored, password); !ok {
		t.Error("argon2id with the costs of HarperDB: refused")
	}
	salted := harperSalt16 + phcArgon2(password+harperSalt16, "0123456789abcdef", 64, 1, 1)
	if ok, _ := mustVerify(t, h, SchemeArgon2id, salted, password); !ok {
		t.Error("argon2id over password and salt: refused")
	}
}

func TestHarperHashesOfAnotherShapeAreRefused(t *testing.T) {
	good := harperHashes("x")
	for _, c := range []struct{ scheme, stored string }{
		{SchemeMD5, good[SchemeSHA256]},
		{SchemeSHA256, good[SchemeMD5]},
		{SchemeArgon2id, good[SchemeSHA256]},
		{SchemeMD5, good[SchemeMD5][1:]},
		{SchemeMD5, "äää" + good[SchemeMD5][6:]},
		{SchemeMD5, strings.ToUpper(good[SchemeMD5])},
		{SchemeSHA256, good[SchemeSHA256] + "0"},
		{SchemeArgon2id, harperSalt16 + "$argon2id$v=19$m=4194304,t=3,p=4$" + salt16 + "$" + key32},
		{SchemeArgon2id, harperSalt16 + "$2b$04$" + strings.Repeat("a", 53)},
		{"", "password in the clear"},
		{"sha512", good[SchemeSHA256]},
	} {
		_, err := schemeOf(c.scheme, c.stored)
		wantErr(t, c.scheme+" "+c.stored, err, ErrHash)
	}
	scheme, err := schemeOf(SchemeSHA256, phcArgon2("x", "0123456789abcdef", 64, 1, 1))
	if scheme != schemeCrypt || err != nil {
		t.Errorf("a $-string under another name: %q, %v", scheme, err)
	}
}
