package authserver_test

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/storage"
)

// oauchTokenEndpoint has the tests of OAuch's folders TokenEndpoint and Concurrency.
var oauchTokenEndpoint = []catalogueRow{
	{name: "TokenEndpoint.ClientKeySecureTest", run: func(c *catalogue) error {
		weak := `{"keys":[{"kty":"RSA","e":"AQAB","n":"` + base64.RawURLEncoding.EncodeToString(append([]byte{0x80}, make([]byte, 127)...)) + `"}]}`
		err := c.store.PutClient(c.t.Context(), &storage.Client{ID: "weak", JWKS: []byte(weak), Grants: []string{policy.GrantClientCredentials}})
		return must(err != nil && strings.Contains(err.Error(), "1024 bits"), "a client with an RSA key of 1024 bits is registered: %v", err)
	}},
	{name: "TokenEndpoint.ClientSecretEntropyMinReqTest", run: func(c *catalogue) error {
		return must(entropy(c.main.secret) >= 128, "a generated secret has %.0f bits", entropy(c.main.secret))
	}},
	{name: "TokenEndpoint.ClientSecretEntropySugReqTest", run: func(c *catalogue) error {
		return must(entropy(c.main.secret) >= 160, "a generated secret has %.0f bits", entropy(c.main.secret))
	}},
	{name: "TokenEndpoint.HasCacheControlHeaderTest", run: func(c *catalogue) error {
		return must(c.login().header.Get("Cache-Control") == "no-store", "no Cache-Control")
	}},
	{name: "TokenEndpoint.HasPragmaHeaderTest", run: func(c *catalogue) error {
		return must(c.login().header.Get("Pragma") == "no-cache", "no Pragma")
	}},
	{name: "TokenEndpoint.InvalidatedRefreshTokenTest", run: func(c *catalogue) error {
		used := c.login().text("refresh_token")
		next := c.refreshAs(c.main.header(), used)
		return firstError(issued(next), notIssued(c.refreshAs(c.main.header(), used)), notIssued(c.refreshAs(c.main.header(), next.text("refresh_token"))))
	}},
	{name: "TokenEndpoint.IsAsymmetricClientAuthenticationUsedTest", run: func(c *catalogue) error { return issued(c.byKey(c.keyed.sign(c, nil))) }},
	{name: "TokenEndpoint.IsAuthInUriAllowedTest", run: func(c *catalogue) error {
		return notIssued(c.form("/oauth2/token?"+formOf("client_id", c.main.id, "client_secret", c.main.secret).Encode(), "", "grant_type", "client_credentials"))
	}},
	{name: "TokenEndpoint.IsBasicAuthenticationSupportedTest", run: func(c *catalogue) error { return issued(c.asItself()) }},
	{name: "TokenEndpoint.IsClientAuthenticationRequiredTest", run: func(c *catalogue) error {
		return firstError(
			notIssued(c.form("/oauth2/token", "", "grant_type", "client_credentials", "client_id", c.main.id)),
			notIssued(c.form("/oauth2/token", "", "grant_type", "client_credentials")))
	}},
	// There for the authorization code of a public client, here for its login by password.
	{name: "TokenEndpoint.IsClientIdRequiredTest", run: func(c *catalogue) error {
		return firstError(
			issued(c.form("/oauth2/token", "", passwordGrant("client_id", "app")...)),
			notIssued(c.form("/oauth2/token", "", passwordGrant()...)))
	}},
	{name: "TokenEndpoint.IsGetSupportedTest", run: func(c *catalogue) error {
		return firstError(
			notIssued(c.raw(http.MethodGet, "/oauth2/token?grant_type=client_credentials", "", "Authorization", c.main.header())),
			notIssued(c.raw(http.MethodGet, "/oauth2/token?"+formOf(passwordGrant("client_id", "app")...).Encode(), "")))
	}},
	{
		name: "TokenEndpoint.IsPasswordFlowDisabledTest", run: func(c *catalogue) error {
			without := *c
			server := *c.testServer
			without.testServer = &server
			without.start(func(config *authserver.Config) { config.Grants = []string{policy.GrantClientCredentials} })
			return firstError(must(notIssued(without.login()) == nil, "offered against tokens.grants"), notIssued(c.login()))
		},
		fails: "a token was issued", reason: "The password grant exists, against RFC 9700, section 2.4.",
	},
	{name: "TokenEndpoint.IsRefreshAuthenticationRequiredTest", run: func(c *catalogue) error {
		token := c.login().text("refresh_token")
		return firstError(
			notIssued(c.refreshAs("", token, "client_id", c.main.id)), notIssued(c.refreshAs("", token)),
			issued(c.refreshAs(c.main.header(), token)))
	}},
	{name: "TokenEndpoint.IsRefreshBoundToClientTest", run: func(c *catalogue) error {
		return notIssued(c.refreshAs(c.second.header(), c.login().text("refresh_token")))
	}},
	{name: "TokenEndpoint.RefreshTokenPresentTest", run: func(c *catalogue) error {
		return firstError(
			must(c.asItself().text("refresh_token") == "", "client_credentials gives a refresh token"),
			must(c.asItself("scope", "offline_access").text("refresh_token") == "", "client_credentials gives a refresh token for offline_access"))
	}},
	{name: "TokenEndpoint.RefreshTokenRevokedAfterUseTest", run: func(c *catalogue) error {
		used := c.login().text("refresh_token")
		return firstError(issued(c.refreshAs(c.main.header(), used)), notIssued(c.refreshAs(c.main.header(), used)))
	}},
	{name: "TokenEndpoint.SameParameterTwiceDisallowedTest", run: func(c *catalogue) error {
		body := formOf(passwordGrant()...).Encode()
		return notIssued(c.raw(http.MethodPost, "/oauth2/token", body+"&grant_type=password", "Authorization", c.main.header()))
	}},
	{name: "TokenEndpoint.UnrecognizedParameterAllowedTest", run: func(c *catalogue) error {
		return issued(c.form("/oauth2/token", c.main.header(), passwordGrant("hello", "there")...))
	}},
	{name: "TokenEndpoint.UsesTokenRotationTest", run: func(c *catalogue) error {
		used := c.login().text("refresh_token")
		next := c.refreshAs(c.main.header(), used).text("refresh_token")
		return must(next != "" && next != used, "the refresh token is not rotated")
	}},
	{name: "Concurrency.SingleFastRefreshTest", run: func(c *catalogue) error { return c.refreshAtOnce(5, c.testServer) }},
	{name: "Concurrency.MultiFastRefreshTest", run: func(c *catalogue) error {
		replica := *c.testServer
		replica.log = &strings.Builder{} // each server writes to its own
		replica.store, replica.keys = newStore(c.t, c.rdb)
		replica.start(func(config *authserver.Config) { config.Issuer = c.issuer })
		return c.refreshAtOnce(25, c.testServer, &replica)
	}},
}

// refreshAtOnce uses one refresh token many times at once, at these servers in turn. One pair of tokens must come of it, with
// each policy that rotates.
func (c *catalogue) refreshAtOnce(n int, servers ...*testServer) error {
	grace := c.addClient(storage.Client{ID: "oauch-grace", Grants: []string{policy.GrantPassword, policy.GrantRefreshToken}})
	for _, client := range []credential{c.main, grace} {
		token := c.form("/oauth2/token", client.header(), passwordGrant()...).text("refresh_token")
		replies := make([]reply, n)
		var all sync.WaitGroup
		for i := range n {
			all.Go(func() {
				replies[i] = servers[i%len(servers)].form("/oauth2/token", client.header(), refreshGrant(token)...)
			})
		}
		all.Wait()
		access, refresh := map[string]bool{}, map[string]bool{}
		for _, r := range replies {
			switch {
			case r.status == http.StatusOK:
				access[r.text("access_token")], refresh[r.text("refresh_token")] = true, true
			case r.status == http.StatusServiceUnavailable: // the first one is not decided yet
			case r.text("error") != "invalid_grant":
				return errors.New("neither tokens nor invalid_grant: " + r.raw)
			}
		}
		if err := must(len(access) == 1 && len(refresh) == 1, "%s: %d access tokens and %d refresh tokens", client.id, len(access), len(refresh)); err != nil {
			return err
		}
	}
	return nil
}

// oauchTokens has the tests of OAuch's folder Tokens.
var oauchTokens = []catalogueRow{
	{name: "Tokens.AccessTokenEntropyMinReqTest", run: func(c *catalogue) error { return c.tokenEntropy("access_token", 128) }},
	{name: "Tokens.AccessTokenEntropySugReqTest", run: func(c *catalogue) error { return c.tokenEntropy("access_token", 160) }},
	{name: "Tokens.RefreshTokenEntropyMinReqTest", run: func(c *catalogue) error { return c.tokenEntropy("refresh_token", 128) }},
	{name: "Tokens.RefreshTokenEntropySugReqTest", run: func(c *catalogue) error { return c.tokenEntropy("refresh_token", 160) }},
	{
		name: "Tokens.ShortTokenTimeoutTest", run: func(c *catalogue) error {
			short := c.addClient(storage.Client{ID: "oauch-short", Grants: []string{policy.GrantPassword}, AccessTTL: storage.Duration(10 * time.Minute)})
			obeyed, _ := c.form("/oauth2/token", short.header(), passwordGrant()...).body["expires_in"].(float64)
			seconds, _ := c.login().body["expires_in"].(float64)
			return firstError(
				must(obeyed > 0 && obeyed <= 600, "access_ttl: 10m gives %.0f seconds", obeyed),
				must(seconds <= 600, "an access token is valid for more than ten minutes"))
		},
		fails:  "an access token is valid for more than ten minutes",
		reason: "Access tokens are valid for an hour where access_ttl says nothing else.",
	},
	{name: "Tokens.TokenTimeoutTest", run: func(c *catalogue) error {
		ahead := &clock{}
		c.start(func(config *authserver.Config) { config.Now = ahead.now })
		r := c.login()
		seconds, _ := r.body["expires_in"].(float64)
		if err := must(seconds <= 3600 && c.active(r.text("access_token")), "valid for %.0f seconds", seconds); err != nil {
			return err
		}
		ahead.advance(time.Duration(seconds) * time.Second)
		return must(!c.active(r.text("access_token")), "still valid after its time")
	}},
}

// tokenEntropy checks the average entropy of tokens, as OAuch estimates it.
func (c *catalogue) tokenEntropy(kind string, least float64) error {
	sum := 0.0
	const logins = 5
	for range logins {
		sum += entropy(c.login().text(kind))
	}
	return must(sum/logins >= least, "%s: %.0f bits", kind, sum/logins)
}
