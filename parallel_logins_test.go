package opgrant_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/opgrant/opgrant"
	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// loginWays are the ways to send a password.
var loginWays = map[string]func(t *testing.T, name, password string) *http.Request{
	"create": func(t *testing.T, name, password string) *http.Request {
		t.Helper()
		return loginRequest(t, "/", "application/json", `{"operation":"create_authentication_tokens","username":"`+name+`","password":"`+password+`"}`)
	},
	"Basic": func(t *testing.T, name, password string) *http.Request {
		t.Helper()
		r := loginRequest(t, "/", "application/json", `{"operation":"user_info"}`)
		r.SetBasicAuth(name, password)
		return r
	},
	"token": func(t *testing.T, name, password string) *http.Request {
		t.Helper()
		form := url.Values{"grant_type": {"password"}, "username": {name}, "password": {password}}
		r := loginRequest(t, "/oauth2/token", "application/x-www-form-urlencoded", form.Encode())
		r.SetBasicAuth("demo", "demo-secret")
		return r
	},
}

func loginRequest(t *testing.T, path, contentType, body string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	return r
}

// atOnce sends requests at once and counts the answers by status.
func atOnce(s http.Handler, n int, request func(i int) *http.Request) map[int]int {
	var all sync.WaitGroup
	var mutex sync.Mutex
	statuses := map[int]int{}
	for i := range n {
		r := request(i)
		all.Go(func() {
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			mutex.Lock()
			defer mutex.Unlock()
			statuses[w.Code]++
		})
	}
	all.Wait()
	return statuses
}

// Workers that start at once all get in, with the limits of the default: of one account and of as many, by each way, without a
// cache of credentials.
func TestManyRightLoginsAtOnceAllSucceed(t *testing.T) {
	s, _ := start(t, func(c *opgrant.Config) {
		c.Redis = storagetest.StartInstance(t).Client(t)
		c.Storage.CredentialCache = 0
	})
	for i := range 200 {
		if err := s.Store.Users.AddUser(t.Context(), storage.User{Name: fmt.Sprint("user", i), Role: "super_user", Active: true}, "password"); err != nil {
			t.Fatal(err)
		}
	}
	for way, request := range loginWays {
		for _, n := range []int{40, 200} {
			if got := atOnce(s, n, func(int) *http.Request { return request(t, "HDB_ADMIN", "password") }); got[200] != n {
				t.Errorf("%s: %d logins of one account: %v", way, n, got)
			}
			if got := atOnce(s, n, func(i int) *http.Request { return request(t, fmt.Sprint("user", i), "password") }); got[200] != n {
				t.Errorf("%s: %d logins of as many accounts: %v", way, n, got)
			}
		}
	}
	if s := s.Store.Users.LoginStats(); s.Failed+s.Throttled+s.Unavailable != 0 {
		t.Errorf("%+v", s)
	}
}

// Guesses by all ways at once get no more hashes than the limit, and 401 is told to those that were compared alone.
func TestManyGuessesAtOnceByEveryWay(t *testing.T) {
	s, _ := start(t, func(c *opgrant.Config) { c.Redis = storagetest.StartInstance(t).Client(t) })
	before := s.Store.Users.PasswordRuns()
	names := []string{"create", "Basic", "token"}
	got := atOnce(s, 210, func(i int) *http.Request { return loginWays[names[i%3]](t, "HDB_ADMIN", fmt.Sprint("guess", i)) })
	if runs := s.Store.Users.PasswordRuns() - before; runs != 10 || got[429] != 200 || got[400]+got[401] != 10 {
		t.Errorf("%d hashes and %v", runs, got)
	}
}

// A server limits wrong client secrets without being told to.
func TestWrongSecretsAreLimitedByDefault(t *testing.T) {
	s, site := start(t, func(c *opgrant.Config) { c.Storage.Throttle.PerClient = 3 })
	try := func(secret string) int {
		r := loginRequest(t, "/oauth2/token", "application/x-www-form-urlencoded", "grant_type=refresh_token&refresh_token=x")
		r.SetBasicAuth("demo", secret)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		return w.Code
	}
	for i := range 3 {
		if status := try(fmt.Sprint("wrong", i)); status != 401 {
			t.Errorf("wrong secret %d: %d", i, status)
		}
	}
	if status := try("demo-secret"); status != 429 {
		t.Errorf("after three wrong secrets: %d", status)
	}
	if status, _ := operate(t, site, admin, `{"operation":"user_info"}`); status != 200 {
		t.Errorf("the operations API: %d", status)
	}
}
