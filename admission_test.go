package opgrant_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/opgrant/opgrant"
	"github.com/opgrant/opgrant/authserver/admission"
	"github.com/opgrant/opgrant/storage"
)

// oneAtATime admits one piece of work, and nothing waits.
func oneAtATime() admission.Gates {
	return admission.Gates{
		Requests: admission.NewGate(admission.Limits{Running: 1}),
		Hashes:   admission.NewGate(admission.Limits{Running: 1}),
	}
}

// everyFlow sends a request of every kind on both APIs, one after the other, and returns those that are not answered 200.
func everyFlow(t *testing.T, site *httptest.Server) (failed []string) {
	t.Helper()
	wantOK := func(what string, status int, body map[string]any) map[string]any {
		if status != http.StatusOK {
			failed = append(failed, what)
			t.Logf("%s: %d %v", what, status, body)
		}
		return body
	}
	operation := func(what, authorization, body string) map[string]any {
		status, answer := operate(t, site, authorization, body)
		return wantOK(what, status, answer)
	}
	text := func(m map[string]any, name string) string { s, _ := m[name].(string); return s }
	tokens := operation("create", "", `{"operation":"create_authentication_tokens","username":"HDB_ADMIN","password":"password"}`)
	bearer := "Bearer " + text(tokens, "operation_token")
	operation("create by Basic", admin, `{"operation":"create_authentication_tokens"}`)
	operation("create by token", bearer, `{"operation":"create_authentication_tokens"}`)
	operation("user_info by Basic", admin, `{"operation":"user_info"}`)
	operation("user_info by token", bearer, `{"operation":"user_info"}`)
	tokens = operation("create again", "", `{"operation":"create_authentication_tokens","username":"HDB_ADMIN","password":"password"}`)
	operation("refresh in the header", "Bearer "+text(tokens, "refresh_token"), `{"operation":"refresh_operation_token"}`)
	operation("refresh in the body", "", `{"operation":"refresh_operation_token","refresh_token":"`+text(tokens, "refresh_token")+`"}`)

	form := func(what, path string, pairs ...string) map[string]any {
		values := url.Values{}
		for i := 0; i < len(pairs); i += 2 {
			values.Set(pairs[i], pairs[i+1])
		}
		status, answer := oauth(t, site, path, values)
		return wantOK(what, status, answer)
	}
	form("exchange", "/oauth2/token", "grant_type", "urn:ietf:params:oauth:grant-type:token-exchange",
		"subject_token", text(tokens, "operation_token"), "subject_token_type", "urn:ietf:params:oauth:token-type:access_token")
	login := form("login", "/oauth2/token", "grant_type", "password", "username", "HDB_ADMIN", "password", "password")
	login = form("refresh", "/oauth2/token", "grant_type", "refresh_token", "refresh_token", text(login, "refresh_token"))
	form("introspect", "/oauth2/introspect", "token", text(login, "access_token"))
	form("revoke", "/oauth2/revoke", "token", text(login, "refresh_token"))
	return failed
}

// No request takes a second place while it has one, by whichever way it comes: it would wait for itself when all are taken. Here
// there is one place, and nothing waits. All places are given back.
func TestNoRequestTakesTwoPlaces(t *testing.T) {
	gates := oneAtATime()
	s, site := start(t, func(c *opgrant.Config) { c.Admission, c.Storage.CredentialCache = gates, 0 })
	if failed := everyFlow(t, site); failed != nil {
		t.Errorf("not admitted: %q", failed)
	}
	if s.Admission != gates {
		t.Error("the server has other gates")
	}
	for name, gate := range map[string]*admission.Gate{"requests": gates.Requests, "hashes": gates.Hashes} {
		if n := gate.Numbers(); n != (admission.Numbers{}) {
			t.Errorf("%s: %+v", name, n)
		}
	}
}

// When a gate is full, what needs it is 503 with Retry-After on both APIs.
func TestAFullGateIs503(t *testing.T) {
	gates := oneAtATime()
	_, site := start(t, func(c *opgrant.Config) { c.Admission, c.Storage.CredentialCache = gates, 0 })
	operation, refresh := loginAlice(t, site)
	needRequests := []struct{ authorization, body string }{
		{"", `{"operation":"create_authentication_tokens","username":"alice","password":"alicepw"}`},
		{admin, `{"operation":"create_authentication_tokens"}`},
		{"Bearer " + operation, `{"operation":"create_authentication_tokens"}`},
		{"", `{"operation":"refresh_operation_token","refresh_token":"` + refresh + `"}`},
		{"Bearer " + refresh, `{"operation":"refresh_operation_token"}`},
		{"Bearer " + operation, `{"operation":"user_info"}`},
	}
	requests, err := gates.Requests.Enter(t.Context(), admission.First)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range needRequests {
		wantOperation503(t, site, o.authorization, o.body)
	}
	requests.Leave()
	hashes, err := gates.Hashes.Enter(t.Context(), admission.First)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []struct{ authorization, body string }{
		needRequests[0], needRequests[1],
		{admin, `{"operation":"user_info"}`},
		{"", `{"operation":"user_info","username":"alice","password":"wrong"}`},
		{"Bearer " + adminToken(t, site, &hashes, gates.Hashes), `{"operation":"add_user","username":"bob","password":"bobpw","role":"staff","active":true}`},
	} {
		wantOperation503(t, site, o.authorization, o.body)
	}
	if status, _ := oauth(t, site, "/oauth2/token", url.Values{"grant_type": {"password"}, "username": {"alice"}, "password": {"alicepw"}}); status != http.StatusServiceUnavailable {
		t.Errorf("login: %d", status)
	}
	hashes.Leave()
	if failed := everyFlow(t, site); failed != nil {
		t.Errorf("afterwards: %q", failed)
	}
}

// adminToken logs the super user in, for which it frees the place for a moment.
func adminToken(t *testing.T, site *httptest.Server, place *admission.Ticket, gate *admission.Gate) string {
	t.Helper()
	place.Leave()
	_, body := operate(t, site, "", `{"operation":"create_authentication_tokens","username":"HDB_ADMIN","password":"password"}`)
	var err error
	if *place, err = gate.Enter(t.Context(), admission.First); err != nil {
		t.Fatal(err)
	}
	token, _ := body["operation_token"].(string)
	return token
}

// A login has no place among the requests while it waits for a hash, so that refreshes go on. When it has got its hash it is not
// refused because others wait.
func TestLoginsThatWaitForAHashDoNotStopRefreshes(t *testing.T) {
	gates := admission.Gates{
		Requests: admission.NewGate(admission.Limits{Running: 1, Wait: time.Minute, Queue: 100}),
		Hashes:   admission.NewGate(admission.Limits{Running: 1, Wait: time.Minute, Queue: 100}),
	}
	s, site := start(t, func(c *opgrant.Config) { c.Admission, c.Storage.CredentialCache = gates, 0 })
	_, refresh := loginAlice(t, site)
	const logins = 20
	for i := range logins { // of as many users: the same login at once would be hashed once
		user := storage.User{Name: fmt.Sprint("user", i), Role: "staff", Active: true}
		if err := s.Store.Users.AddUser(t.Context(), user, "password"); err != nil {
			t.Fatal(err)
		}
	}
	hash, err := gates.Hashes.Enter(t.Context(), admission.First)
	if err != nil {
		t.Fatal(err)
	}
	answers := make(chan int, logins)
	for i := range logins {
		go func() {
			name := fmt.Sprint("user", i)
			if i%2 == 0 {
				status, _ := operate(t, site, "", `{"operation":"create_authentication_tokens","username":"`+name+`","password":"password"}`)
				answers <- status
				return
			}
			status, _ := oauth(t, site, "/oauth2/token", url.Values{"grant_type": {"password"}, "username": {name}, "password": {"password"}})
			answers <- status
		}()
	}
	for end := time.Now().Add(20 * time.Second); gates.Hashes.Numbers().Waiting < logins; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%+v wait for a hash, %+v for a place among the requests", gates.Hashes.Numbers(), gates.Requests.Numbers())
		}
	}
	if n := gates.Requests.Numbers(); n.Running != 0 || n.Waiting != 0 {
		t.Errorf("requests while %d logins wait for a hash: %+v", logins, n)
	}
	if status, body := operate(t, site, "", `{"operation":"refresh_operation_token","refresh_token":"`+refresh+`"}`); status != http.StatusOK {
		t.Errorf("refresh meanwhile: %d %v", status, body)
	}
	hash.Leave()
	for range logins {
		if status := <-answers; status != http.StatusOK {
			t.Errorf("a login that waited: %d", status)
		}
	}
}
