package opgrant_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/opgrant/opgrant"
	"github.com/opgrant/opgrant/compat"
)

// A wayIn is one of the places where a password is checked.
type wayIn struct {
	name    string
	request func(site, name, password string) *http.Request
	refused string // the answer to a wrong password: status and body
}

func operation(site, authorization, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, site, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	return r
}

var waysIn = []wayIn{
	{"create_authentication_tokens", func(site, name, password string) *http.Request {
		return operation(site, "", `{"operation":"create_authentication_tokens","username":"`+name+`","password":"`+password+`"}`)
	}, `401 {"error":"invalid credentials"}`},
	{"create_authentication_tokens with Basic", func(site, name, password string) *http.Request {
		return operation(site, basicAuth(name, password), `{"operation":"create_authentication_tokens"}`)
	}, `401 {"error":"Login failed"}`},
	{"Basic", func(site, name, password string) *http.Request {
		return operation(site, basicAuth(name, password), `{"operation":"user_info"}`)
	}, `401 {"error":"Login failed"}`},
	{"credentials in the body", func(site, name, password string) *http.Request {
		return operation(site, "", `{"operation":"user_info","username":"`+name+`","password":"`+password+`"}`)
	}, `401 {"error":"Login failed"}`},
	{"a forwarded operation", func(site, name, password string) *http.Request {
		return operation(site, basicAuth(name, password), `{"operation":"describe_all"}`)
	}, `401 {"error":"Login failed"}`},
	{"login", func(site, name, password string) *http.Request {
		return operation(site, "", `{"operation":"login","username":"`+name+`","password":"`+password+`"}`)
	}, `401 {"error":"Login failed"}`},
	{"password grant", func(site, name, password string) *http.Request {
		form := url.Values{"grant_type": {"password"}, "username": {name}, "password": {password}}
		r := httptest.NewRequest(http.MethodPost, site+"/oauth2/token", strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth("demo", "demo-secret")
		return r
	}, `400 invalid_grant`},
}

// enter sends a request in and returns the answer.
func (way wayIn) enter(ctx context.Context, site *httptest.Server, name, password string) (status int, header http.Header, body string, err error) {
	r := way.request(site.URL, name, password).WithContext(ctx)
	r.RequestURI = "" // of a client's request
	resp, err := site.Client().Do(r)
	if err != nil {
		return 0, nil, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, string(raw), err
}

func (way wayIn) wants(t *testing.T, site *httptest.Server, name, password string, want int) (http.Header, string) {
	t.Helper()
	status, header, body, err := way.enter(t.Context(), site, name, password)
	if err != nil || status != want {
		t.Errorf("%s, %s: %d %s %v, want %d", way.name, name, status, body, err, want)
	}
	return header, body
}

func startMoving(t *testing.T, old *oldServer, change func(*opgrant.Config)) (*opgrant.Server, *httptest.Server) {
	t.Helper()
	return start(t, func(c *opgrant.Config) {
		c.Operations.Upstream = &compat.Upstream{URL: old.URL, Timeout: time.Minute, Cookies: true}
		c.Storage.Timeout = 30 * time.Second // a busy machine is not an outage
		if change != nil {
			change(c)
		}
	})
}
