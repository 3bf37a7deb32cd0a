package opgrant_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"

	"github.com/opgrant/opgrant"
)

// With a path in the issuer, the OAuth endpoints are below it and the operations API stays on POST /.
func TestIssuerWithAPath(t *testing.T) {
	for _, operations := range []bool{true, false} {
		_, site := start(t, func(c *opgrant.Config) {
			c.Issuer = "https://host.example/auth"
			c.DisableOperations = !operations
		})
		response, err := http.Get(site.URL + "/.well-known/oauth-authorization-server/auth")
		if err != nil {
			t.Fatal(err)
		}
		var metadata struct {
			Issuer string
			Token  string `json:"token_endpoint"`
			Keys   string `json:"jwks_uri"`
		}
		err = json.NewDecoder(response.Body).Decode(&metadata)
		_ = response.Body.Close()
		if err != nil || metadata.Issuer != "https://host.example/auth" {
			t.Fatalf("metadata: %s %v %v", response.Status, metadata, err)
		}
		path := func(advertised string) string {
			u, err := url.Parse(advertised)
			if err != nil {
				t.Fatal(err)
			}
			return u.Path
		}
		form := url.Values{"grant_type": {"password"}, "username": {"HDB_ADMIN"}, "password": {"password"}}
		if status, body := oauth(t, site, path(metadata.Token), form); status != http.StatusOK || body["access_token"] == nil {
			t.Errorf("token request at %s: %d %v", metadata.Token, status, body)
		}
		response, err = http.Get(site.URL + path(metadata.Keys))
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", metadata.Keys, response.Status)
		}
		if !operations {
			continue
		}
		if status, body := operate(t, site, basicAuth("HDB_ADMIN", "password"), `{"operation":"user_info"}`); status != http.StatusOK {
			t.Errorf("operation on /: %d %v", status, body)
		}
	}
}
