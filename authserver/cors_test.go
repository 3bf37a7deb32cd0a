package authserver_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

const (
	appOrigin   = "https://app.example"
	otherOrigin = "https://other.example"
	evilOrigin  = "https://evil.example"
)

// addPages adds a public client and a confidential one that list different origins.
func (ts *testServer) addPages() {
	ts.t.Helper()
	hash, err := authserver.Secrets{}.Hash(ts.t.Context(), []byte("back-secret"))
	check(ts.t, err)
	grants := []string{"password", "refresh_token"}
	check(ts.t, ts.store.PutClient(ts.t.Context(), &storage.Client{ID: "page", Public: true, Grants: grants, Origins: []string{"https://first.example", appOrigin}}))
	check(ts.t, ts.store.PutClient(ts.t.Context(), &storage.Client{ID: "back", Secrets: []string{string(hash)}, Grants: grants, Origins: []string{otherOrigin}}))
}

// corsOf are the headers that a browser reads before it shows an answer to a page.
func corsOf(r reply) map[string]string {
	found := map[string]string{}
	for name, values := range r.header {
		if short, ok := strings.CutPrefix(name, "Access-Control-"); ok {
			found[short] = strings.Join(values, ", ")
		}
	}
	return found
}

func readableBy(origin string) map[string]string {
	return map[string]string{"Allow-Origin": origin, "Expose-Headers": "Retry-After, Www-Authenticate"}
}

// A page reads an answer, errors included, if the client that its request names lists its origin, and no other answer. No
// answer lets a browser send credentials by itself.
func TestOriginsOfClients(t *testing.T) {
	ts := onFake(t)
	ts.addPages()
	const (
		token, revoke, introspect = "/oauth2/token", "/oauth2/revoke", "/oauth2/introspect"
		login                     = "grant_type=password&username=alice&password=wonder+land"
		page, back                = "client_id=page&", "client_id=back&client_secret=back-secret&"
	)
	none := map[string]string{}
	for name, row := range map[string]struct {
		path, body, origin, authorization string
		status                            int
		want                              map[string]string
	}{
		"tokens":                          {token, page + login, appOrigin, "", 200, readableBy(appOrigin)},
		"tokens, confidential client":     {token, back + login, otherOrigin, "", 200, readableBy(otherOrigin)},
		"tokens, Basic":                   {token, login, otherOrigin, as("back"), 200, readableBy(otherOrigin)},
		"no Origin":                       {token, page + login, "", "", 200, none},
		"not in the list":                 {token, page + login, evilOrigin, "", 200, none},
		"in another client's list":        {token, page + login, otherOrigin, "", 200, none},
		"a client without origins":        {token, "client_id=app&" + login, appOrigin, "", 200, none},
		"null":                            {token, page + login, "null", "", 200, none},
		"a longer name":                   {token, page + login, appOrigin + ".evil.example", "", 200, none},
		"another port":                    {token, page + login, appOrigin + ":8443", "", 200, none},
		"another scheme":                  {token, page + login, "http://app.example", "", 200, none},
		"other letters":                   {token, page + login, "https://APP.example", "", 200, none},
		"a list":                          {token, page + login, appOrigin + ", " + evilOrigin, "", 200, none},
		"a star":                          {token, page + login, "*", "", 200, none},
		"wrong password":                  {token, page + "grant_type=password&username=alice&password=x", appOrigin, "", 400, readableBy(appOrigin)},
		"no grant type":                   {token, page, appOrigin, "", 400, readableBy(appOrigin)},
		"a parameter twice":               {token, page + login + "&scope=a&scope=b", appOrigin, "", 400, readableBy(appOrigin)},
		"the client twice":                {token, page + page + login, appOrigin, "", 400, none},
		"two ways of naming the client":   {token, page + login, appOrigin, as("back"), 400, none},
		"wrong secret":                    {token, "client_id=back&client_secret=x&" + login, otherOrigin, "", 401, readableBy(otherOrigin)},
		"unknown client":                  {token, "client_id=nobody&" + login, appOrigin, "", 401, none},
		"no client":                       {token, login, appOrigin, "", 401, none},
		"revocation":                      {revoke, page + "token=x", appOrigin, "", 200, readableBy(appOrigin)},
		"revocation, not in the list":     {revoke, page + "token=x", evilOrigin, "", 200, none},
		"revocation without a token":      {revoke, page, appOrigin, "", 400, readableBy(appOrigin)},
		"introspection":                   {introspect, back + "token=x", otherOrigin, "", 200, readableBy(otherOrigin)},
		"introspection, not in the list":  {introspect, back + "token=x", appOrigin, "", 200, none},
		"introspection by a public one":   {introspect, page + "token=x", appOrigin, "", 401, readableBy(appOrigin)},
		"an assertion, whoever signed it": {token, login + "&client_assertion_type=" + url.QueryEscape(assertionTypeText) + "&client_assertion=" + unsigned("back"), otherOrigin, "", 401, readableBy(otherOrigin)},
	} {
		r := ts.raw(http.MethodPost, row.path, row.body, "Origin", row.origin, "Authorization", row.authorization)
		if r.status != row.status {
			t.Errorf("%s: %d %s, want %d", name, r.status, r.raw, row.status)
		}
		if diff := cmp.Diff(row.want, corsOf(r)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if vary := r.header.Values("Vary"); !cmp.Equal(vary, []string{"Origin"}) {
			t.Errorf("%s: Vary is %q", name, vary)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, ts.url+token, strings.NewReader(page+login))
	check(t, err)
	req.Header = http.Header{"Content-Type": {formType}, "Origin": {appOrigin, evilOrigin}}
	if r := ts.do(req); r.status != 200 || len(corsOf(r)) > 0 {
		t.Errorf("two Origin headers: %d %v", r.status, corsOf(r))
	}
}

const assertionTypeText = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// unsigned is an assertion that names a client and proves nothing.
func unsigned(client string) string {
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(`{"alg":"RS256"}`)) + "." + encode([]byte(`{"iss":"`+client+`","sub":"`+client+`"}`)) + "." + encode([]byte("x"))
}

// A preflight does not name the client, so that it is allowed for each origin that a client lists, and for those alone. Others
// get what they got before.
func TestPreflights(t *testing.T) {
	onRedis(t, func(t *testing.T, ts *testServer) {
		ask := func(path, origin, method, headers string) reply {
			return ts.raw(http.MethodOptions, path, "", "Content-Type", "", "Origin", origin, "Access-Control-Request-Method", method, "Access-Control-Request-Headers", headers)
		}
		refused := func(name string, r reply) {
			t.Helper()
			if r.status != http.StatusMethodNotAllowed || r.header.Get("Allow") != "POST" || len(corsOf(r)) > 0 || !strings.Contains(r.header.Get("Vary"), "Origin") {
				t.Errorf("%s: %d, Allow %q, Vary %q, %v", name, r.status, r.header.Get("Allow"), r.header.Get("Vary"), corsOf(r))
			}
		}
		granted := func(name string, r reply, origin, headers string) {
			t.Helper()
			want := map[string]string{"Allow-Origin": origin, "Allow-Methods": "POST", "Allow-Headers": headers, "Max-Age": "60"}
			if headers == "" {
				delete(want, "Allow-Headers")
			}
			if diff := cmp.Diff(want, corsOf(r)); diff != "" || r.status != http.StatusNoContent || !strings.Contains(r.header.Get("Vary"), "Origin") {
				t.Errorf("%s: %d, Vary %q %s", name, r.status, r.header.Get("Vary"), diff)
			}
		}
		refused("no client lists an origin", ask("/oauth2/token", appOrigin, "POST", ""))
		ts.addPages()
		for _, path := range []string{"/oauth2/token", "/oauth2/revoke", "/oauth2/introspect"} {
			granted(path, ask(path, appOrigin, "POST", "authorization,content-type"), appOrigin, "authorization,content-type")
			granted(path+", another client", ask(path, otherOrigin, "POST", ""), otherOrigin, "")
			refused(path+", not in a list", ask(path, evilOrigin, "POST", "authorization"))
			refused(path+", null", ask(path, "null", "POST", ""))
			refused(path+", not a preflight", ask(path, appOrigin, "", ""))
			refused(path+", no Origin", ask(path, "", "POST", ""))
			for what, r := range map[string]reply{"method": ask(path, appOrigin, "DELETE", ""), "header": ask(path, appOrigin, "POST", "x-other")} {
				if r.status != http.StatusNoContent || len(corsOf(r)) > 0 {
					t.Errorf("%s, another %s: %d %v", path, what, r.status, corsOf(r))
				}
			}
		}
		check(t, ts.store.RemoveClient(t.Context(), "page"))
		refused("the client was removed", ask("/oauth2/token", appOrigin, "POST", ""))
		granted("another client was removed", ask("/oauth2/token", otherOrigin, "POST", ""), otherOrigin, "")
	})
}

// The public documents have one answer for every origin and for none, so that a cache cannot give the wrong one.
func TestDocumentsAreForEveryOrigin(t *testing.T) {
	ts := onFake(t)
	for _, path := range []string{"/.well-known/oauth-authorization-server", "/.well-known/jwks.json"} {
		for _, origin := range []string{"", appOrigin, "null"} {
			r := ts.raw(http.MethodGet, path, "", "Origin", origin)
			if diff := cmp.Diff(map[string]string{"Allow-Origin": "*"}, corsOf(r)); diff != "" || r.status != 200 || r.header.Get("Vary") != "" {
				t.Errorf("%s for %q: %d, Vary %q %s", path, origin, r.status, r.header.Get("Vary"), diff)
			}
		}
		r := ts.raw(http.MethodOptions, path, "", "Origin", appOrigin, "Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "x-trace")
		want := map[string]string{"Allow-Origin": "*", "Allow-Methods": "GET", "Allow-Headers": "x-trace", "Max-Age": "60"}
		if diff := cmp.Diff(want, corsOf(r)); diff != "" || r.status != http.StatusNoContent {
			t.Errorf("%s, preflight: %d %s", path, r.status, diff)
		}
		if r := ts.raw(http.MethodOptions, path, ""); r.status != http.StatusMethodNotAllowed || r.header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s, OPTIONS: %d, Allow %q", path, r.status, r.header.Get("Allow"))
		}
	}
}

func TestPagesReadThatTheyShouldWait(t *testing.T) {
	ts := onFake(t)
	ts.addPages()
	ts.start(func(c *authserver.Config) { c.Users = refuse{c.Users} })
	r := ts.raw(http.MethodPost, "/oauth2/token", "client_id=page&grant_type=password&username=alice&password=x", "Origin", appOrigin)
	if diff := cmp.Diff(readableBy(appOrigin), corsOf(r)); diff != "" || r.status != http.StatusTooManyRequests || r.header.Get("Retry-After") == "" {
		t.Errorf("%d, Retry-After %q %s", r.status, r.header.Get("Retry-After"), diff)
	}
}

// While Redis is away nothing is refused that was allowed: known origins go on, pages read the 503, and of an origin that nobody
// has asked about the server says that it does not know.
func TestOriginsDuringAnOutage(t *testing.T) {
	server := storagetest.StartRedis(t, storagetest.Options{})
	ts := newTestServerWithTimeout(t, dial(t, server.Addr), 3*time.Second)
	ts.addPages()
	preflight := func(origin string) reply {
		return ts.raw(http.MethodOptions, "/oauth2/token", "", "Origin", origin, "Access-Control-Request-Method", "POST")
	}
	unknown := func(when string) {
		t.Helper()
		r := preflight(evilOrigin)
		if r.status != http.StatusServiceUnavailable || r.header.Get("Retry-After") == "" || len(corsOf(r)) > 0 {
			t.Errorf("%s, unknown origin: %d, Retry-After %q, %v", when, r.status, r.header.Get("Retry-After"), corsOf(r))
		}
	}
	if r := preflight(appOrigin); r.status != http.StatusNoContent {
		t.Fatalf("before: %d", r.status)
	}
	server.Kill()
	if r := preflight(appOrigin); r.status != http.StatusNoContent || corsOf(r)["Allow-Origin"] != appOrigin {
		t.Errorf("known origin: %d %v", r.status, corsOf(r))
	}
	unknown("outage")
	for _, path := range []string{"/oauth2/token", "/oauth2/revoke"} {
		r := ts.raw(http.MethodPost, path, "client_id=page&token=x&grant_type=password&username=alice&password=x", "Origin", appOrigin)
		if diff := cmp.Diff(readableBy(appOrigin), corsOf(r)); diff != "" || r.status != http.StatusServiceUnavailable || r.header.Get("Retry-After") == "" {
			t.Errorf("%s: %d, Retry-After %q %s", path, r.status, r.header.Get("Retry-After"), diff)
		}
		if r := ts.raw(http.MethodPost, path, "client_id=page&token=x&grant_type=password&username=alice&password=x", "Origin", otherOrigin); len(corsOf(r)) > 0 {
			t.Errorf("%s, another client's origin: %v", path, corsOf(r))
		}
	}
	// A server that started during the outage has never known any.
	store, err := storage.New(dial(t, server.Addr), storage.Options{Password: cheapPasswords, Timeout: 3 * time.Second})
	check(t, err)
	ts.store = store
	ts.start(nil)
	if r := preflight(appOrigin); r.status != http.StatusServiceUnavailable || len(corsOf(r)) > 0 {
		t.Errorf("new server: %d %v", r.status, corsOf(r))
	}
}
