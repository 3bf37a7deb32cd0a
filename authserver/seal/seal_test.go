package seal_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/opgrant/opgrant/authserver/seal"
)

func mustNew(t *testing.T, secret, purpose string) *seal.Cipher {
	t.Helper()
	c, err := seal.New([]byte(secret), purpose)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestOpenReturnsWhatWasSealed(t *testing.T) {
	c := mustNew(t, "a secret", "a purpose")
	for _, plain := range []string{"", "x", "a longer value"} {
		one, two := c.Seal([]byte(plain)), c.Seal([]byte(plain))
		if bytes.Equal(one, two) {
			t.Errorf("%q: sealed twice to the same bytes", plain)
		}
		if got, err := mustNew(t, "a secret", "a purpose").Open(one); err != nil || string(got) != plain {
			t.Errorf("%q: opened as %q, %v", plain, got, err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	c := mustNew(t, "a secret", "a purpose")
	sealed := c.Seal([]byte("value"))
	changed := bytes.Clone(sealed)
	changed[len(changed)-1] ^= 1
	for name, test := range map[string]struct {
		cipher *seal.Cipher
		sealed []byte
	}{
		"another secret":  {mustNew(t, "another secret", "a purpose"), sealed},
		"another purpose": {mustNew(t, "a secret", "another purpose"), sealed},
		"a changed value": {c, changed},
		"a cut value":     {c, sealed[:len(sealed)-1]},
		"a short value":   {c, sealed[:5]},
		"nothing":         {c, nil},
	} {
		if got, err := test.cipher.Open(test.sealed); !errors.Is(err, seal.ErrOpen) || got != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// Values in Redis outlive a release: this one was sealed by the code that this package replaced.
func TestOpenReadsStoredValues(t *testing.T) {
	stored, err := hex.DecodeString("f27ec31adc59e053c89551dbf1294d23af5c2fcb4f4fa2b6f255d61ce45503da525065d4")
	if err != nil {
		t.Fatal(err)
	}
	got, err := mustNew(t, "0123456789abcdef0123456789abcdef", "opgrant signing keys").Open(stored)
	if err != nil || string(got) != "document" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestAnEmptySecretIsRefused(t *testing.T) {
	if _, err := seal.New(nil, "a purpose"); err == nil {
		t.Error("no error")
	}
}
