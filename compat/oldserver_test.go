package compat_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/opgrant/opgrant/compat/wiretest"
)

// The server that tests of a migration move away from answers as the recorded one.
func TestOldServerAnswersAsRecorded(t *testing.T) {
	cases := recorded(t)
	old, err := wiretest.NewOldServer(cases)
	if err != nil {
		t.Fatal(err)
	}
	old.PutRole(wiretest.OldRole{ID: "compat_role", Permission: `{"super_user":false}`})
	old.PutUser(wiretest.OldUser{Name: "alice", Password: "alicepw", Role: "compat_role", Active: true})
	old.PutUser(wiretest.OldUser{Name: "carol", Password: "carolpw", Role: "compat_role"})
	server := httptest.NewServer(old)
	t.Cleanup(server.Close)

	token := func(body string) map[string]string {
		status, text := postOld(t, server.URL, "", body)
		tokens := map[string]string{}
		if status != http.StatusOK || json.Unmarshal([]byte(text), &tokens) != nil {
			t.Fatalf("login: %d %s", status, text)
		}
		return tokens
	}
	first := token(`{"operation":"create_authentication_tokens","username":"alice","password":"alicepw","expires_in":1}`)
	alice := token(`{"operation":"create_authentication_tokens","username":"alice","password":"alicepw"}`)
	for _, c := range []struct{ authorization, body, name string }{
		{"", `{"operation":"create_authentication_tokens","username":"alice","password":"wrong"}`, "p1/create/wrong password"},
		{"", `{"operation":"create_authentication_tokens","username":"carol","password":"carolpw"}`, "p1/create/inactive user right password"},
		{"", `{"operation":"create_authentication_tokens"}`, "p1/create/no credentials"},
		{"Bearer " + alice["refresh_token"], `{"operation":"refresh_operation_token"}`, "p2/refresh/refresh token as Bearer (happy)"},
		{"", `{"operation":"refresh_operation_token","refresh_token":"` + alice["refresh_token"] + `"}`, "p2/refresh/refresh_token in body, no auth header"},
		{"Bearer " + first["operation_token"], `{"operation":"user_info"}`, "p2/bearer/user_info alice"},
		{"Bearer " + alice["operation_token"], `{"operation":"list_users"}`, "p2/bearer/list_users alice"},
		{"Basic YWxpY2U6bm8=", `{"operation":"user_info"}`, "p2/bearer/Basic bad user_info"},
		{"Basic SERCX0FETUlOOnBhc3N3b3Jk", `{"operation":"nope"}`, "p3/malformed/unknown op + auth"},
		{"Basic SERCX0FETUlOOnBhc3N3b3Jk", `{"operation":"search_by_value","schema":"system","table":"hdb_role"}`, "p2/storage/roles"},
	} {
		status, got := postOld(t, server.URL, c.authorization, c.body)
		var want wiretest.Expect
		for _, r := range cases {
			if r.Name == c.name {
				want = r.Expect
			}
		}
		if got = wiretest.Scrub(got); status != want.Status || !wiretest.SameBody(want.Body, got) && c.name != "p2/storage/roles" {
			t.Errorf("%s: %d %s, recorded %d %s", c.name, status, got, want.Status, want.Body)
		}
	}
}

func postOld(t *testing.T, url, authorization, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}
