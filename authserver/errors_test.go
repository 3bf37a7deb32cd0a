package authserver_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Every error of RFC 6749 section 5.2, with its whole response.
func TestErrorsOfTheTokenEndpoint(t *testing.T) {
	ts := onFake(t)
	good := ts.login("web", "scope", "read")
	others := ts.login("other")
	const alice = "&username=alice&password=wonder+land"
	rows := []struct {
		name, client, body string
		status             int
		answer             string
	}{
		{"no body", "web", "", 400, `{"error":"invalid_request","error_description":"The body is empty."}`},
		{"no grant_type", "web", "username=alice", 400, `{"error":"invalid_request","error_description":"The parameter grant_type is missing."}`},
		{"empty grant_type", "web", "grant_type=" + alice, 400, `{"error":"invalid_request","error_description":"The parameter grant_type is missing."}`},
		{"a parameter twice", "web", "grant_type=password&grant_type=password" + alice, 400, `{"error":"invalid_request","error_description":"A parameter is included more than once."}`},
		{"an unknown parameter twice", "web", "grant_type=password&x=1&x=2" + alice, 400, `{"error":"invalid_request","error_description":"A parameter is included more than once."}`},
		{"a parameter that cannot be decoded", "web", "grant_type=%zz", 400, `{"error":"invalid_request","error_description":"The body is not well-formed."}`},
		{"a parameter that is not UTF-8", "web", "grant_type=password&username=%ff&password=x", 400, `{"error":"invalid_request","error_description":"A parameter is malformed or too long."}`},
		{"no username", "web", "grant_type=password&password=x", 400, `{"error":"invalid_request","error_description":"The parameter username is missing."}`},
		{"no password", "web", "grant_type=password&username=alice", 400, `{"error":"invalid_request","error_description":"The parameter password is missing."}`},
		{"no refresh_token", "web", "grant_type=refresh_token", 400, `{"error":"invalid_request","error_description":"The parameter refresh_token is missing."}`},

		{"no client", "", "grant_type=password" + alice, 401, `{"error":"invalid_client","error_description":"Client authentication failed."}`},
		{"unknown client", basic("nobody", "x"), "grant_type=password" + alice, 401, `{"error":"invalid_client","error_description":"Client authentication failed."}`},
		{"wrong secret", basic("web", "x"), "grant_type=password" + alice, 401, `{"error":"invalid_client","error_description":"Client authentication failed."}`},
		{"no secret", "", "grant_type=password&client_id=web" + alice, 401, `{"error":"invalid_client","error_description":"Client authentication failed."}`},
		{"wrong secret in the body", "", "grant_type=password&client_id=web&client_secret=x" + alice, 401, `{"error":"invalid_client","error_description":"Client authentication failed."}`},
		{"bearer token for authentication", "Bearer " + good.text("access_token"), "grant_type=password" + alice, 401, `{"error":"invalid_client","error_description":"Client authentication failed."}`},
		{"secret in two places", as("web"), "grant_type=password&client_id=web&client_secret=web-secret" + alice, 400, `{"error":"invalid_request","error_description":"The client authenticates in more than one way."}`},
		{"another client in the body", as("web"), "grant_type=password&client_id=other" + alice, 400, `{"error":"invalid_request","error_description":"The client authenticates in more than one way."}`},

		{"unknown user", "web", "grant_type=password&username=nobody&password=x", 400, `{"error":"invalid_grant","error_description":"The grant is not valid, expired, revoked, or was issued to another client."}`},
		{"wrong password", "web", "grant_type=password&username=alice&password=x", 400, `{"error":"invalid_grant","error_description":"The grant is not valid, expired, revoked, or was issued to another client."}`},
		{"unknown refresh token", "web", "grant_type=refresh_token&refresh_token=x", 400, `{"error":"invalid_grant","error_description":"The grant is not valid, expired, revoked, or was issued to another client."}`},
		{"refresh token of another client", "web", "grant_type=refresh_token&refresh_token=" + others.text("refresh_token"), 400, `{"error":"invalid_grant","error_description":"The grant is not valid, expired, revoked, or was issued to another client."}`},
		{"access token as refresh token", "web", "grant_type=refresh_token&refresh_token=" + good.text("access_token"), 400, `{"error":"invalid_grant","error_description":"The grant is not valid, expired, revoked, or was issued to another client."}`},

		{"grant that the client may not use", "nothing", "grant_type=password" + alice, 400, `{"error":"unauthorized_client","error_description":"The client may not use this grant type."}`},
		{"public client as itself", "", "grant_type=client_credentials&client_id=app", 400, `{"error":"unauthorized_client","error_description":"The client may not use this grant type."}`},

		{"unknown grant", "web", "grant_type=magic", 400, `{"error":"unsupported_grant_type","error_description":"The server does not support this grant type."}`},
		{"authorization code", "web", "grant_type=authorization_code&code=x", 400, `{"error":"unsupported_grant_type","error_description":"The server does not support this grant type."}`},
		{"grant in another case", "web", "grant_type=Password" + alice, 400, `{"error":"unsupported_grant_type","error_description":"The server does not support this grant type."}`},
		{"grant with a space", "web", "grant_type=password+" + alice, 400, `{"error":"unsupported_grant_type","error_description":"The server does not support this grant type."}`},

		{"scope that the client may not have", "web", "grant_type=password&scope=admin" + alice, 400, `{"error":"invalid_scope","error_description":"The scope is unknown, malformed, or more than was granted."}`},
		{"scope with a character it cannot have", "web", "grant_type=password&scope=re%22ad" + alice, 400, `{"error":"invalid_scope","error_description":"The scope is malformed."}`},
		{"wider scope on refresh", "web", "grant_type=refresh_token&scope=read+write&refresh_token=" + good.text("refresh_token"), 400, `{"error":"invalid_scope","error_description":"The scope is more than the session was granted."}`},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			client := row.client
			if client != "" && !strings.Contains(client, " ") {
				client = as(client)
			}
			r := ts.raw(http.MethodPost, "/oauth2/token", row.body, "Authorization", client)
			if r.status != row.status || r.raw != row.answer {
				t.Errorf("%d %s\nwant %d %s", r.status, r.raw, row.status, row.answer)
			}
			checkHeaders(t, r, row.status)
		})
	}
	if r := ts.refresh("web", good.text("refresh_token")); r.status != http.StatusOK {
		t.Errorf("one of the refused requests ended the session: %s", r.raw)
	}
}

// checkHeaders checks that a response has the headers of its status, and no others.
func checkHeaders(t *testing.T, r reply, status int) {
	t.Helper()
	want := http.Header{
		"Content-Type": {"application/json"}, "X-Content-Type-Options": {"nosniff"},
		"Cache-Control": {"no-store"}, "Pragma": {"no-cache"}, "Vary": {"Origin"},
	}
	if status == http.StatusUnauthorized {
		want.Set("WWW-Authenticate", `Basic realm="opgrant", charset="UTF-8"`)
	}
	got := r.header.Clone()
	got.Del("Date")
	got.Del("Content-Length")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
}

func TestRefusalsBeforeTheForm(t *testing.T) {
	ts := onFake(t)
	const login = "grant_type=password&username=alice&password=wonder+land"
	rows := []struct {
		name, method, path, body, header, value string
		status                                  int
		answer                                  string
	}{
		{"GET", "GET", "?" + login, "", "Authorization", as("web"), 405, "The method must be POST."},
		{"PUT", "PUT", "", login, "Authorization", as("web"), 405, "The method must be POST."},
		{"OPTIONS", "OPTIONS", "", "", "Origin", "https://evil.example", 405, "The method must be POST."},
		{"no content type", "POST", "", login, "Content-Type", "", 400, "The body must be application/x-www-form-urlencoded."},
		{"JSON", "POST", "", `{"grant_type":"password"}`, "Content-Type", "application/json", 400, "The body must be application/x-www-form-urlencoded."},
		{"multipart", "POST", "", "--b\r\n\r\n--b--", "Content-Type", "multipart/form-data; boundary=b", 400, "The body must be application/x-www-form-urlencoded."},
		{"UTF-16", "POST", "", login, "Content-Type", formType + "; charset=utf-16", 400, "The body must be UTF-8."},
		{"UTF-7", "POST", "", login, "Content-Type", formType + "; charset=utf-7", 400, "The body must be UTF-8."},
		{"credentials in the URL", "POST", "?client_id=web&client_secret=web-secret", login, "", "", 400, "Parameters belong into the body, not into the URL."},
		{"password in the URL", "POST", "?password=wonder+land", "grant_type=password&username=alice", "Authorization", as("web"), 400, "Parameters belong into the body, not into the URL."},
		{"a body too large", "POST", "", "grant_type=password&x=" + strings.Repeat("x", 1<<20), "Authorization", as("web"), 413, "The body is too large."},
		{"a parameter too long", "POST", "", "grant_type=password&x=" + strings.Repeat("x", 17<<10), "Authorization", as("web"), 400, "A parameter is malformed or too long."},
		{"too many parameters", "POST", "", "a=" + manyParameters(100), "Authorization", as("web"), 400, "The body has too many parameters."},
	}
	for _, endpoint := range []string{"/oauth2/token", "/oauth2/introspect", "/oauth2/revoke"} {
		for _, row := range rows {
			t.Run(endpoint+" "+row.name, func(t *testing.T) {
				headers := []string{}
				if row.header != "" {
					headers = append(headers, row.header, row.value)
				}
				r := ts.raw(row.method, endpoint+row.path, row.body, headers...)
				if r.status != row.status || r.text("error") != "invalid_request" || r.text("error_description") != row.answer {
					t.Errorf("%d %s", r.status, r.raw)
				}
				if allow := r.header.Get("Allow"); (row.status == http.StatusMethodNotAllowed) != (allow == "POST") {
					t.Errorf("Allow: %q", allow)
				}
				if r.header.Get("X-Content-Type-Options") != "nosniff" || r.header.Get("Cache-Control") != "no-store" || r.header.Get("Access-Control-Allow-Origin") != "" {
					t.Errorf("headers %v", r.header)
				}
			})
		}
	}
}

// RFC 9110 section 5.3: Authorization and Content-Type are not lists, so a second one makes the request ambiguous.
func TestHeadersComeOnce(t *testing.T) {
	ts := onFake(t)
	for _, endpoint := range []string{"/oauth2/token", "/oauth2/introspect", "/oauth2/revoke"} {
		for name, headers := range map[string]http.Header{
			"Authorization":                 {"Authorization": {as("web"), basic("web", "wrong")}, "Content-Type": {formType}},
			"Authorization, twice the same": {"Authorization": {as("web"), as("web")}, "Content-Type": {formType}},
			"Authorization, empty first":    {"Authorization": {"", as("web")}, "Content-Type": {formType}},
			"Content-Type":                  {"Authorization": {as("web")}, "Content-Type": {formType, formType}},
		} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, ts.url+endpoint, strings.NewReader(loginBody))
			check(t, err)
			req.Header = headers
			r := ts.do(req)
			header, _, _ := strings.Cut(name, ",")
			if r.status != 400 || r.text("error") != "invalid_request" || r.text("error_description") != "The header "+header+" is included more than once." {
				t.Errorf("%s %s: %d %s", endpoint, name, r.status, r.raw)
			}
		}
	}
}

// RFC 9110 section 8.3.2: the name of a charset is case-insensitive, and may be quoted (section 5.6.6).
func TestCharsetsOfTheForm(t *testing.T) {
	ts := onFake(t)
	for charset, want := range map[string]int{
		"utf-8": 200, "UTF-8": 200, "Utf-8": 200, `"uTf-8"`: 200, "US-ASCII": 200, "us-Ascii": 200,
		"utf8": 400, "iso-8859-1": 400, "utf-16": 400, `""`: 400, "utf-8; charset=utf-16": 400,
	} {
		r := ts.raw(http.MethodPost, "/oauth2/token", loginBody, "Authorization", as("web"), "Content-Type", formType+"; Charset="+charset)
		if r.status != want {
			t.Errorf("%s: %d %s", charset, r.status, r.raw)
		}
	}
}

// Browsers must not guess the type of any answer (Fetch, section 3.7).
func TestNoAnswerMayBeSniffed(t *testing.T) {
	ts := onFake(t)
	const metadata, jwks = "/.well-known/oauth-authorization-server", "/.well-known/jwks.json"
	etag := ts.raw(http.MethodGet, jwks, "").header.Get("ETag")
	for name, r := range map[string]reply{
		"tokens":             ts.login("web"),
		"introspection":      ts.post("/oauth2/introspect", "rs", "token", "x"),
		"revocation":         ts.post("/oauth2/revoke", "web", "token", "x"),
		"metadata":           ts.raw(http.MethodGet, metadata, ""),
		"metadata, HEAD":     ts.raw(http.MethodHead, metadata, ""),
		"keys":               ts.raw(http.MethodGet, jwks, ""),
		"keys, not modified": ts.raw(http.MethodGet, jwks, "", "If-None-Match", etag),
		"invalid request":    ts.post("/oauth2/token", "web"),
		"invalid client":     ts.raw(http.MethodPost, "/oauth2/revoke", "token=x", "Authorization", basic("web", "wrong")),
		"wrong method":       ts.raw(http.MethodGet, "/oauth2/token", ""),
		"wrong method, keys": ts.raw(http.MethodPost, jwks, "x=1"),
		"not found":          ts.raw(http.MethodGet, "/oauth2/authorize", ""),
	} {
		if got := r.header.Values("X-Content-Type-Options"); len(got) != 1 || got[0] != "nosniff" {
			t.Errorf("%s: %d, X-Content-Type-Options %q", name, r.status, got)
		}
	}
}

func manyParameters(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("&p" + strings.Repeat("x", i+1) + "=1")
	}
	return b.String()
}
