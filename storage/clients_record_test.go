package storage

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/ory/fosite"
	"golang.org/x/crypto/bcrypt"
)

// Servers of the first build stored MaxSessionTTL as max_session_life. Both builds read what the other one writes.
func TestClientRecordsOfTheFirstBuild(t *testing.T) {
	const tenMinutes = Duration(10 * time.Minute)
	old := `{"v":1,"id":"app","grants":["password"],"max_session_life":"10m0s"}`
	client, err := decodeClient(old)
	if err != nil {
		t.Fatal(err)
	}
	if client.ID != "app" || client.MaxSessionTTL != tenMinutes {
		t.Errorf("%+v", client)
	}
	raw, err := encodeClient(client)
	if err != nil {
		t.Fatal(err)
	}
	var first struct {
		MaxSessionTTL Duration `json:"max_session_life"`
	}
	if err := json.Unmarshal(raw, &first); err != nil || first.MaxSessionTTL != tenMinutes {
		t.Errorf("the first build reads %v from %s: %v", first.MaxSessionTTL, raw, err)
	}
}

func TestUnreadableClientRecordsAreUnavailable(t *testing.T) {
	for _, raw := range []string{``, `null`, `{}`, `{"v":1}`, `{"v":2,"id":"app"}`, `[]`} {
		if _, err := decodeClient(raw); !errors.Is(err, fosite.ErrTemporarilyUnavailable) {
			t.Errorf("%q: %v", raw, err)
		}
	}
}

// What a third-party fosite server reads of a client is stored, and is what fosite makes of it.
func TestClientsOfAnAuthorizationEndpoint(t *testing.T) {
	want := codeClient()
	raw, err := encodeClient(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeClient(string(raw))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want.RedirectURIs, got.GetRedirectURIs()); d != "" {
		t.Error(d)
	}
	for _, row := range []struct{ grants, types, want []string }{
		{[]string{"authorization_code"}, nil, []string{"code"}},
		{[]string{"authorization_code"}, []string{"code id_token"}, []string{"code id_token"}},
		{[]string{"password"}, nil, nil},
	} {
		c := &Client{Grants: row.grants, ResponseTypes: row.types}
		if d := cmp.Diff(row.want, []string(c.GetResponseTypes())); d != "" {
			t.Error(d)
		}
	}
}

// Secrets are hashed as package authserver hashes them, and bcrypt is accepted.
func TestClientSecretsHasher(t *testing.T) {
	const secret = "k3Qp-98xZ-77ab-Lm21"
	ctx, h := t.Context(), ClientSecretsHasher{}
	hash, err := h.Hash(ctx, []byte(secret))
	if err != nil || !strings.HasPrefix(string(hash), "{SSHA256}") {
		t.Fatalf("%s, %v", hash, err)
	}
	slow, err := bcrypt.GenerateFromPassword([]byte(secret), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	for name, hash := range map[string][]byte{"own": hash, "bcrypt": slow} {
		if err := h.Compare(ctx, hash, []byte(secret)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if h.Compare(ctx, hash, []byte(secret+"x")) == nil || h.Compare(ctx, hash[:len(hash)-4], []byte(secret)) == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if h.Compare(ctx, nil, nil) == nil || h.Compare(ctx, []byte("{SSHA256}"), nil) == nil {
		t.Error("nothing is accepted")
	}
	if _, err := h.Hash(ctx, []byte("secret")); err == nil {
		t.Error("a secret that is easy to guess was hashed")
	}
}
