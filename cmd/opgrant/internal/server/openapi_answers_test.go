package server

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
)

func decoded(raw string) map[string]any {
	var body map[string]any
	_ = json.Unmarshal([]byte(raw), &body)
	return body
}

const (
	exchange   = "urn:ietf:params:oauth:grant-type:token-exchange"
	accessType = "urn:ietf:params:oauth:token-type:access_token"
)

func (d *described) oauthEndpoints() {
	d.t.Helper()
	const token, introspect, revoke = "/oauth2/token", "/oauth2/introspect", "/oauth2/revoke"
	unknown := basicAuth("nobody", "x")
	login := d.form(200, token, "", "grant_type", "password", "username", "HDB_ADMIN", "password", "password")
	access, _ := login["access_token"].(string)
	refresh, _ := login["refresh_token"].(string)
	d.form(200, token, "", "grant_type", "client_credentials")
	d.form(400, token, "", "grant_type", exchange, "subject_token", access, "subject_token_type", accessType)
	again := d.form(200, token, "", "grant_type", "refresh_token", "refresh_token", refresh)
	d.form(400, token, "", "grant_type", "password", "username", "HDB_ADMIN", "password", "wrong")
	d.form(400, token, "", "grant_type", "magic")
	d.form(400, token, "", "grant_type", "client_credentials", "scope", "x")
	d.form(400, token, "", "grant_type", "password", "username", "x")
	d.form(401, token, unknown, "grant_type", "client_credentials")

	d.form(200, introspect, "", "token", access)
	d.form(200, introspect, "", "token", again["refresh_token"].(string))
	d.form(200, introspect, "", "token", "nonsense")
	d.form(400, introspect, "", "x", "y")
	d.form(401, introspect, unknown, "token", access)

	d.form(200, revoke, "", "token", again["refresh_token"].(string), "token_type_hint", "refresh_token")
	d.form(200, revoke, "", "token", "nonsense")
	d.form(400, revoke, "", "x", "y")
	d.form(401, revoke, unknown, "token", access)
	d.form(200, introspect, "", "token", access)

	for _, path := range []string{token, introspect, revoke} {
		d.form(413, path, "", "grant_type", strings.Repeat("x", 300_000))
	}
}

func (d *described) operationsAPI() {
	d.t.Helper()
	admin := basicAuth("HDB_ADMIN", "password")
	tokens := d.operate(200, "", `{"operation":"create_authentication_tokens","username":"HDB_ADMIN","password":"password","expires_in":"1h"}`)
	access, _ := tokens["operation_token"].(string)
	refresh, _ := tokens["refresh_token"].(string)
	d.operate(200, "Bearer "+refresh, `{"operation":"refresh_operation_token"}`)
	d.operate(200, "", `{"operation":"refresh_operation_token","refresh_token":"`+refresh+`"}`)
	d.operate(200, "Bearer "+access, `{"operation":"user_info"}`)
	d.form(200, "/oauth2/introspect", "", "token", access)
	d.form(200, "/oauth2/token", "", "grant_type", exchange, "subject_token", access, "subject_token_type", accessType)
	d.operate(200, admin, `{"operation":"add_role","role":"reader","permission":{"super_user":false}}`)
	d.operate(409, admin, `{"operation":"add_role","role":"reader","permission":{"super_user":false}}`)
	d.operate(200, admin, `{"operation":"alter_role","id":"reader","role":"reader","permission":{"super_user":false}}`)
	d.operate(200, admin, `{"operation":"list_roles"}`)
	d.operate(200, admin, `{"operation":"add_user","role":"reader","username":"bob","password":"pw","active":true}`)
	d.operate(200, admin, `{"operation":"list_users"}`)
	d.operate(200, admin, `{"operation":"describe_all"}`)
	d.operate(403, basicAuth("bob", "pw"), `{"operation":"list_users"}`)
	d.operate(200, admin, `{"operation":"alter_user","username":"bob","active":false}`)
	d.operate(200, admin, `{"operation":"drop_user","username":"bob"}`)
	d.operate(404, admin, `{"operation":"drop_user","username":"bob"}`)
	d.operate(200, admin, `{"operation":"drop_role","id":"reader"}`)

	d.operate(400, admin, `{"operation":"drop_role"}`)
	d.operate(400, admin, `{"operation":"nope"}`)
	d.operate(400, admin, `[]`)
	d.operate(400, admin, `nonsense`)
	d.operate(400, "", `{"operation":"create_authentication_tokens","username":7,"password":"x"}`)
	d.operate(401, "", `{"operation":"user_info"}`)
	d.operate(401, "", `{"operation":"create_authentication_tokens","username":"nobody","password":"x"}`)
	d.operate(401, "Bearer nonsense", `{"operation":"user_info"}`)
	d.operate(401, basicAuth("nobody", "x"), `{"operation":"user_info"}`)
	d.operate(413, admin, `{"operation":"user_info","x":"`+strings.Repeat("x", 2<<20)+`"}`)
	unreadable := d.request(http.MethodPost, "/", "application/json", admin, `{"operation":"user_info"}`)
	unreadable.Header.Set("Accept", "text/html")
	d.send("an answer in another format", unreadable, 406)
	d.send("XML", d.request(http.MethodPost, "/", "text/xml", admin, `<x/>`), 415)
}

func (d *described) documents() {
	d.t.Helper()
	for _, path := range []string{"/.well-known/oauth-authorization-server", "/.well-known/jwks.json", "/livez", "/readyz", "/openapi.yaml"} {
		d.send(path, d.request(http.MethodGet, path, "", "", ""), 200)
	}
	_, etag := d.etag("/.well-known/jwks.json")
	same := d.request(http.MethodGet, "/.well-known/jwks.json", "", "", "")
	same.Header.Set("If-None-Match", etag)
	d.send("keys that did not change", same, 304)
}

func (d *described) etag(path string) (status int, etag string) {
	d.t.Helper()
	resp, err := http.DefaultClient.Do(d.request(http.MethodGet, path, "", "", ""))
	if err != nil {
		d.t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode, resp.Header.Get("ETag")
}

func (d *described) throttled() {
	d.t.Helper()
	for range 5 {
		d.form(400, "/oauth2/token", "", "grant_type", "password", "username", "phantom", "password", "x")
	}
	d.form(429, "/oauth2/token", "", "grant_type", "password", "username", "phantom", "password", "x")
	d.operate(429, "", `{"operation":"create_authentication_tokens","username":"phantom","password":"x"}`)
	for i := range 5 {
		d.form(401, "/oauth2/introspect", basicAuth("phantom", strconv.Itoa(i)), "token", "x")
	}
	for _, path := range []string{"/oauth2/introspect", "/oauth2/revoke"} {
		d.form(429, path, basicAuth("phantom", "x"), "token", "x")
	}
}

// outage is a Redis that has lost everything: the server answers that it is unavailable.
func (d *described) outage() {
	d.t.Helper()
	d.send("not ready", d.request(http.MethodGet, "/readyz", "", "", ""), 503)
	d.form(503, "/oauth2/token", "", "grant_type", "password", "username", "HDB_ADMIN", "password", "password")
	d.form(503, "/oauth2/introspect", basicAuth("other", "x"), "token", "x")
	d.form(503, "/oauth2/revoke", basicAuth("other", "x"), "token", "x")
	d.operate(503, "", `{"operation":"create_authentication_tokens","username":"HDB_ADMIN","password":"password"}`)
}
