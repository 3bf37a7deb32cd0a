package compat_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/opgrant/opgrant/compat"
)

// corsHeaders are the headers of an answer that a browser reads before it shows the answer to a website.
func corsHeaders(h http.Header) map[string]string {
	found := map[string]string{}
	for name, values := range h {
		if short, ok := strings.CutPrefix(name, "Access-Control-"); ok {
			found[short] = strings.Join(values, ", ")
		}
	}
	return found
}

// No website is named unless it is in the list, whatever the answer is, and "*" never goes with credentials.
func TestOriginsByList(t *testing.T) {
	const app, other = "https://app.example", "https://evil.example"
	listed := map[string]string{"Allow-Origin": app, "Allow-Credentials": "true"}
	public := map[string]string{"Allow-Origin": "*"}
	none := map[string]string{}
	for name, row := range map[string]struct {
		origins []string
		origin  string
		want    map[string]string
	}{
		"no list":                     {nil, other, none},
		"no list, null":               {nil, "null", none},
		"in the list":                 {[]string{app}, app, listed},
		"in a longer list":            {[]string{"https://a.example", app}, app, listed},
		"not in the list":             {[]string{app}, other, none},
		"null":                        {[]string{app}, "null", none},
		"a longer name":               {[]string{app}, app + ".evil.example", none},
		"another port":                {[]string{app}, app + ":8443", none},
		"another scheme":              {[]string{app}, "http://app.example", none},
		"other letters":               {[]string{app}, "https://APP.example", none},
		"no Origin":                   {[]string{app}, "", none},
		"any":                         {[]string{"*"}, other, public},
		"any, null":                   {[]string{"*"}, "null", public},
		"any, and one in the list":    {[]string{"*", app}, app, listed},
		"any, and one that is not":    {[]string{"*", app}, other, public},
		"a star is not an origin":     {[]string{"*"}, "*", public},
		"a star is not in the list":   {[]string{app}, "*", none},
		"the list is not a separator": {[]string{app}, app + ", " + other, none},
	} {
		t.Run(name, func(t *testing.T) {
			h := newDirectory(t).handler(t, func(c *compat.Config) { c.Origins = row.origins })
			ask := func(method, path, authorization, body string) *httptest.ResponseRecorder {
				r := httptest.NewRequest(method, path, strings.NewReader(body))
				r.Header.Set("Content-Type", "application/json")
				if row.origin != "" {
					r.Header.Set("Origin", row.origin)
				}
				if authorization != "" {
					r.Header.Set("Authorization", authorization)
				}
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				return w
			}
			answers := map[string]*httptest.ResponseRecorder{
				"an answer":        ask(http.MethodPost, "/", adminBasic, `{"operation":"user_info"}`),
				"an error":         ask(http.MethodPost, "/", "", `{"operation":"user_info"}`),
				"a refused header": ask(http.MethodPost, "/", "Basic YTpi", `{"operation":"user_info"}`),
				"not JSON":         ask(http.MethodPost, "/", "", `hello`),
				"another path":     ask(http.MethodGet, "/nothing", "", ""),
				"health":           ask(http.MethodGet, "/health", "", ""),
			}
			for what, w := range answers {
				if diff := cmp.Diff(row.want, corsHeaders(w.Header())); diff != "" {
					t.Errorf("%s: %s", what, diff)
				}
			}
			preflight := ask(http.MethodOptions, "/", "", "")
			// The recorded server answers the same, whatever a browser asks for.
			for _, wanted := range [][2]string{{"POST", "authorization,content-type"}, {"PROPFIND", "x-other"}} {
				r := httptest.NewRequest(http.MethodOptions, "/", nil)
				r.Header = http.Header{"Access-Control-Request-Method": {wanted[0]}, "Access-Control-Request-Headers": {wanted[1]}}
				if row.origin != "" {
					r.Header.Set("Origin", row.origin)
				}
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				if diff := cmp.Diff(preflight.Header(), w.Header()); diff != "" || w.Code != preflight.Code || w.Body.String() != preflight.Body.String() {
					t.Errorf("preflight for %s: %d %q %s", wanted, w.Code, w.Body, diff)
				}
			}
			want, status := row.want, 400
			if len(row.want) > 0 {
				status = 200
				want = map[string]string{
					"Allow-Methods": "POST, GET, PUT, DELETE, PATCH, OPTIONS",
					"Allow-Headers": "Accept, Content-Type, Authorization",
				}
				for name, value := range row.want {
					want[name] = value
				}
			}
			if diff := cmp.Diff(want, corsHeaders(preflight.Header())); diff != "" || preflight.Code != status {
				t.Errorf("preflight: %d, want %d %s", preflight.Code, status, diff)
			}
			answers["preflight"] = preflight
			for what, w := range answers {
				vary := w.Header().Values("Vary")
				if len(row.origins) > 0 && !slices.Equal(vary, []string{"Origin"}) {
					t.Errorf("%s: Vary is %q: a cache would give the answer to another origin", what, vary)
				}
			}
		})
	}
}

func TestOriginsThatNoBrowserSendsAreRefused(t *testing.T) {
	d := newDirectory(t)
	for _, origin := range []string{"", "null", "app.example", "https://app.example/", "https://APP.example", "https://app.example/path", "https://*"} {
		config := compat.Config{Token: d, Origins: []string{"https://good.example", origin}}
		_, err := compat.New(config)
		if refused := err != nil && strings.Contains(err.Error(), "Origins"); !refused {
			t.Errorf("%q: %v", origin, err)
		}
	}
}

// Pages that may read an answer read when to try again; others do not.
func TestPagesReadWhenToTryAgain(t *testing.T) {
	const app = "https://app.example"
	d := newDirectory(t)
	h := d.handler(t, func(c *compat.Config) {
		c.Origins = []string{app}
		c.Authenticator = outage{d, errors.New("no store")}
	})
	for origin, want := range map[string]map[string]string{
		app:                    {"Allow-Origin": app, "Allow-Credentials": "true", "Expose-Headers": "Retry-After"},
		"https://evil.example": {},
	} {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(`{"operation":"user_info"}`))
		r.Header = http.Header{"Content-Type": {"application/json"}, "Authorization": {adminBasic}, "Origin": {origin}}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if diff := cmp.Diff(want, corsHeaders(w.Header())); diff != "" || w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
			t.Errorf("%s: %d, Retry-After %q %s", origin, w.Code, w.Header().Get("Retry-After"), diff)
		}
	}
}
