package authserver_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// fuzzed returns a server without a network, and a valid access token.
func fuzzed(f *testing.F) (server *authserver.Server, token string) {
	f.Helper()
	rdb := storagetest.StartMiniredis(f).Client(f)
	store, err := storage.New(rdb, storage.Options{Password: cheapPasswords})
	check(f, err)
	set := openKeys(f, store.Keys, time.Nanosecond)
	ctx := f.Context()
	check(f, store.Users.AddUser(ctx, storage.User{Name: "alice", Active: true}, "wonder land"))
	check(f, store.PutClient(ctx, &storage.Client{ID: "app", Public: true, Grants: []string{"password", "refresh_token"}}))
	hash, err := authserver.Secrets{}.Hash(ctx, []byte("rs-secret"))
	check(f, err)
	check(f, store.PutClient(ctx, &storage.Client{ID: "rs", Secrets: []string{string(hash)}, Introspect: true}))
	server, err = authserver.New(authserver.Config{Issuer: "http://localhost", Storage: store, Users: store.Users, Keys: set, Log: slog.New(slog.DiscardHandler)})
	check(f, err)
	w := shoot(server, "/oauth2/token", formType, "", "grant_type=password&client_id=app&username=alice&password=wonder+land")
	var body struct {
		Access string `json:"access_token"`
	}
	check(f, json.Unmarshal(w.Body.Bytes(), &body))
	return server, body.Access
}

func shoot(h http.Handler, path, contentType, authorization, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

var errorText = regexp.MustCompile(`^[\x20-\x21\x23-\x5B\x5D-\x7E]+$`)

// wantShape checks the form of a response: an error of RFC 6749, or a success.
func wantShape(t *testing.T, w *httptest.ResponseRecorder, sent string) {
	t.Helper()
	var body map[string]any
	if json.Unmarshal(w.Body.Bytes(), &body) != nil || w.Header().Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %q %v for %q", w.Code, w.Body, w.Header(), sent)
	}
	switch w.Code {
	case 200:
	case 400, 401, 413:
		code, _ := body["error"].(string)
		text, _ := body["error_description"].(string)
		if !errorText.MatchString(code) || !errorText.MatchString(text) {
			t.Fatalf("%q for %q", w.Body, sent)
		}
	default:
		t.Fatalf("%d %q for %q", w.Code, w.Body, sent)
	}
}

func FuzzForm(f *testing.F) {
	server, _ := fuzzed(f)
	for _, body := range []string{
		"", "&", "=", "a", "grant_type", "grant_type=password&client_id=app&username=alice&password=x",
		"grant_type=password;client_id=app", "grant_type[]=password", "grant_type=%", "grant_type=%zz", "grant_type=%00", "grant_type=+",
		"grant_type=password&grant_type=password", "grant_type=refresh_token&client_id=app&refresh_token=..", "scope=%22&grant_type=password&username=a&password=b&client_id=app",
		"grant_type=" + exchangeGrant + "&client_id=app&subject_token=x&subject_token_type=" + typeAccess,
		"grant_type=" + jwtBearerGrant + "&client_id=app&assertion=e30.e30.", "grant_type=client_credentials&client_assertion_type=" + assertionType + "&client_assertion=e30.e30.e30",
		"grant_type=password&client_id=app&username=%ff&password=\xff", strings.Repeat("a=&", 1000), strings.Repeat("x", 100_000),
	} {
		f.Add("/oauth2/token", formType, "", body)
		f.Add("/oauth2/introspect", formType, "Basic cnM6cnMtc2VjcmV0", body)
		f.Add("/oauth2/revoke", formType+"; charset=utf-8", "Basic !", body)
	}
	f.Fuzz(func(t *testing.T, path, contentType, authorization, body string) {
		switch path {
		case "/oauth2/token", "/oauth2/introspect", "/oauth2/revoke":
		default:
			t.Skip()
		}
		if strings.ContainsAny(contentType+authorization, "\r\n") {
			t.Skip()
		}
		wantShape(t, shoot(server, path, contentType, authorization, body), body)
	})
}

// FuzzToken looks for a string that passes for a token. Only the valid token itself does.
func FuzzToken(f *testing.F) {
	server, good := fuzzed(f)
	f.Add(good)
	for _, token := range respellings(good) {
		f.Add(token)
	}
	for _, token := range []string{"", ".", "..", "a.b.c", strings.Repeat(".", 1<<16), "e30.e30.e30", "eyJhbGciOiJub25lIn0.e30.", "\x00", "\r\n"} {
		f.Add(token)
	}
	f.Fuzz(func(t *testing.T, token string) {
		w := shoot(server, "/oauth2/introspect", formType, "Basic cnM6cnMtc2VjcmV0", url.Values{"token": {token}}.Encode())
		wantShape(t, w, token)
		if active := strings.Contains(w.Body.String(), `"active":true`); active != (token == good) {
			t.Errorf("active %v for %q", active, token)
		}
	})
}
