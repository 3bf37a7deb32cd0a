package password

import (
	"strings"
	"testing"

	"github.com/opgrant/opgrant/storage/internal/password/passwordtest"
)

func TestHarperHashesVerifyOnceAndAreReplaced(t *testing.T) {
	const password = "pässword:1"
	h := mustNew(t, cheap)
	for name, stored := range passwordtest.Harper(password) {
		for _, said := range []string{name, ""} {
			scheme, err := Scheme(said, stored)
			if err != nil || scheme != name {
				t.Fatalf("%s, said to be %q: %q, %v", name, said, scheme, err)
			}
		}
		for _, wrong := range []string{"", "pässword:2", password + "x", strings.ToUpper(password), passwordtest.Salt16, passwordtest.Salt9} {
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
	asStored := passwordtest.Salt16 + passwordtest.Argon2(password, passwordtest.Salt16, 65536, 3, 4)
	if ok, _ := mustVerify(t, h, SchemeArgon2id, asStored, password); !ok {
		t.Error("argon2id with the costs of HarperDB: refused")
	}
	salted := passwordtest.Salt16 + passwordtest.Argon2(password+passwordtest.Salt16, "0123456789abcdef", 64, 1, 1)
	if ok, _ := mustVerify(t, h, SchemeArgon2id, salted, password); !ok {
		t.Error("argon2id over password and salt: refused")
	}
}

func TestHarperHashesOfAnotherShapeAreRefused(t *testing.T) {
	good := passwordtest.Harper("x")
	for _, c := range []struct{ scheme, stored string }{
		{SchemeMD5, good[SchemeSHA256]},
		{SchemeSHA256, good[SchemeMD5]},
		{SchemeArgon2id, good[SchemeSHA256]},
		{SchemeMD5, good[SchemeMD5][1:]},
		{SchemeMD5, "äää" + good[SchemeMD5][6:]},
		{SchemeMD5, strings.ToUpper(good[SchemeMD5])},
		{SchemeSHA256, good[SchemeSHA256] + "0"},
		{SchemeArgon2id, passwordtest.Salt16 + "$argon2id$v=19$m=4194304,t=3,p=4$" + salt16 + "$" + key32},
		{SchemeArgon2id, passwordtest.Salt16 + "$2b$04$" + strings.Repeat("a", 53)},
		{"", "password in the clear"},
		{"sha512", good[SchemeSHA256]},
	} {
		_, err := Scheme(c.scheme, c.stored)
		wantErr(t, c.scheme+" "+c.stored, err, ErrHash)
	}
	scheme, err := Scheme(SchemeSHA256, passwordtest.Argon2("x", "0123456789abcdef", 64, 1, 1))
	if scheme != SchemeCrypt || err != nil {
		t.Errorf("a $-string under another name: %q, %v", scheme, err)
	}
}
