package password

import (
	"strings"
	"testing"

	"github.com/opgrant/opgrant/storage/internal/password/passwordtest"
)

// A kind says what a hash costs, and nothing of the hash.
func TestAKindIsAHashOfTheSameCost(t *testing.T) {
	hashes := foreignHashes(t, "secret")
	hashes["harper"] = passwordtest.Harper("secret")["argon2id"]
	for name, encoded := range hashes {
		scheme, err := Scheme("", encoded)
		if err != nil {
			t.Fatal(err)
		}
		stored, err := Parse(scheme, encoded)
		if err != nil {
			t.Fatal(err)
		}
		kind := stored.Kind()
		again, err := parseKind(kind)
		if err != nil || again.Kind() != kind || !again.slow {
			t.Errorf("%s: %q: %v", name, kind, err)
			continue
		}
		if again.match("secret") {
			t.Errorf("%s: the password matches the kind", name)
		}
		if key := encoded[strings.LastIndex(encoded, "$")+1:]; strings.Contains(kind, key[:8]) {
			t.Errorf("%s: %q holds a part of %q", name, kind, encoded)
		}
	}
	for name, encoded := range passwordtest.Harper("secret") {
		if stored, err := Parse(name, encoded); err != nil || (stored.Kind() == "") != (name != "argon2id") {
			t.Errorf("%s: kind %q, %v", name, stored.Kind(), err)
		}
	}
	h := mustNew(t, cheap)
	made, err := h.Hash(t.Context(), "secret")
	if err != nil {
		t.Fatal(err)
	}
	if stored, err := Parse("", made); err != nil || stored.Kind() != h.OwnKind() {
		t.Errorf("%q is not %q: %v", stored.Kind(), h.OwnKind(), err)
	}
	if err := h.Refuse(t.Context(), nil, "secret", []string{"", "later $new$form", h.OwnKind()}); err != nil || h.Runs() != 1 {
		t.Errorf("unknown kinds: %v, %d hashes", err, h.Runs())
	}
}
