package authserver_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/oauth2"

	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/authserver/resource"
)

// discover reads the metadata as RFC 8414 section 3.1 says, the path of the issuer at its end, and checks section 3.3.
func discover(t *testing.T, issuer string) map[string]string {
	t.Helper()
	u, err := url.Parse(issuer)
	check(t, err)
	u.Path = "/.well-known/oauth-authorization-server" + u.Path
	response, err := http.Get(u.String())
	check(t, err)
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", u, response.Status)
	}
	var document map[string]any
	check(t, json.NewDecoder(response.Body).Decode(&document))
	if document["issuer"] != issuer {
		t.Fatalf("the metadata of %s are those of %v", issuer, document["issuer"])
	}
	urls := map[string]string{}
	for name, value := range document {
		if text, ok := value.(string); ok && (strings.HasSuffix(name, "_endpoint") || name == "jwks_uri") {
			urls[name] = text
		}
	}
	return urls
}

// Every URL that the metadata name is served, whatever path the issuer has.
func TestEndpointsAreWhereTheMetadataSay(t *testing.T) {
	for _, path := range []string{"", "/auth", "/a/b.c", "/oauth2", "/.well-known", "/tenant-1/~x_y"} {
		t.Run("issuer path "+path, func(t *testing.T) {
			ts := onFake(t)
			var issuer string
			ts.start(func(c *authserver.Config) {
				c.Issuer += path
				issuer = c.Issuer
			})
			urls := discover(t, issuer)
			if len(urls) != 4 {
				t.Fatalf("the metadata name %v", urls)
			}
			for name, u := range urls {
				response, err := http.Get(u)
				check(t, err)
				_ = response.Body.Close()
				want := http.StatusMethodNotAllowed
				if name == "jwks_uri" {
					want = http.StatusOK
				}
				if response.StatusCode != want {
					t.Errorf("%s %s: %s", name, u, response.Status)
				}
			}
			client := oauth2.Config{ClientID: "web", ClientSecret: "web-secret", Endpoint: oauth2.Endpoint{TokenURL: urls["token_endpoint"]}}
			token, err := client.PasswordCredentialsToken(t.Context(), "alice", "wonder land")
			check(t, err)
			// A resource server finds the keys below the issuer by itself.
			guard, err := resource.New(resource.Config{Issuer: issuer, Audience: issuer})
			check(t, err)
			if _, err := guard.Verify(t.Context(), token.AccessToken); err != nil {
				t.Errorf("a resource server refuses the token: %v", err)
			}
			// A proxy that takes the path off, and metadata appended to the issuer.
			for _, other := range []string{ts.url + "/.well-known/oauth-authorization-server", issuer + "/.well-known/oauth-authorization-server"} {
				response, err := http.Get(other)
				check(t, err)
				_ = response.Body.Close()
				if response.StatusCode != http.StatusOK {
					t.Errorf("%s: %s", other, response.Status)
				}
			}
		})
	}
}

func TestIssuersThatCannotBeServedAreRefused(t *testing.T) {
	ts := onFake(t)
	for _, issuer := range []string{
		"", "auth.example", "ftp://a.example", "https://", "https://a.example/", "https://a.example/auth/", "https://a.example?", "https://a.example#",
		"https://a.example?x=1", "https://u@a.example", "https://a.example//auth", "https://a.example/a/../b", "https://a.example/.",
		"https://a.example/{x}", "https://a.example/a%2fb", "https://a.example/a%20b", "https://a.example/ä",
	} {
		_, err := authserver.New(authserver.Config{Issuer: issuer, Storage: ts.store, Keys: ts.keys})
		if err == nil || !strings.Contains(err.Error(), "issuer") {
			t.Errorf("%q: %v", issuer, err)
		}
	}
}
