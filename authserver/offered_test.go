package authserver_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/storage"
)

// RFC 8414 section 2: grant_types_supported lists what the server supports. A grant that is not offered is in neither place.
func TestTheMetadataListsTheOfferedGrants(t *testing.T) {
	ts := onFake(t)
	for name, row := range map[string]struct {
		change func(*authserver.Config)
		want   []string
	}{
		"all":           {func(*authserver.Config) {}, policy.GrantTypes()},
		"without users": {func(c *authserver.Config) { c.Users = nil }, policy.GrantTypes()[1:]},
		"two": {
			func(c *authserver.Config) {
				c.Grants = []string{policy.GrantClientCredentials, policy.GrantRefreshToken}
			},
			[]string{policy.GrantRefreshToken, policy.GrantClientCredentials},
		},
		"the password grant without users": {
			func(c *authserver.Config) {
				c.Users, c.Grants = nil, []string{policy.GrantPassword, policy.GrantRefreshToken}
			},
			[]string{policy.GrantRefreshToken},
		},
	} {
		server := *ts
		server.start(row.change)
		listed, _ := json.Marshal(server.raw("GET", "/.well-known/oauth-authorization-server", "").body["grant_types_supported"])
		want, _ := json.Marshal(row.want)
		if string(listed) != string(want) {
			t.Errorf("%s: %s, want %s", name, listed, want)
		}
		for _, grant := range policy.GrantTypes() {
			r := server.post("/oauth2/token", "web", "grant_type", grant)
			if offered := strings.Contains(string(want), `"`+grant+`"`); offered == (r.text("error") == "unsupported_grant_type") {
				t.Errorf("%s: %s: %s", name, grant, r.raw)
			}
		}
	}
	if _, err := authserver.New(authserver.Config{Issuer: "https://a.example", Grants: []string{"implicit"}}); err == nil || !strings.Contains(err.Error(), `grants: "implicit"`) {
		t.Error(err)
	}
}

// The store keeps clients of servers with an authorization endpoint too. Their grants are neither offered nor listed here.
func TestGrantsOfOtherServersAreNotOffered(t *testing.T) {
	ts := onFake(t)
	err := ts.store.PutClient(t.Context(), &storage.Client{
		ID: "elsewhere", Public: true, Grants: []string{policy.GrantAuthorizationCode, policy.GrantImplicit},
		RedirectURIs: []string{"https://app.example/done"}, ResponseTypes: []string{"code", "token"},
	})
	if err != nil {
		t.Fatal(err)
	}
	ts.start(nil)
	for _, grant := range []string{policy.GrantAuthorizationCode, policy.GrantImplicit} {
		r := ts.post("/oauth2/token", "elsewhere", "grant_type", grant, "code", "x", "redirect_uri", "https://app.example/done")
		if r.text("error") != "unsupported_grant_type" {
			t.Errorf("%s: %s", grant, r.raw)
		}
	}
	metadata := ts.raw("GET", "/.well-known/oauth-authorization-server", "")
	for _, name := range []string{policy.GrantAuthorizationCode, policy.GrantImplicit, "authorization_endpoint"} {
		if strings.Contains(metadata.raw, name) {
			t.Errorf("the metadata has %s: %s", name, metadata.raw)
		}
	}
}
