package compat_test

import (
	"context"
	"encoding/base64"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/opgrant/opgrant/compat"
)

func TestLazyMigration(t *testing.T) {
	login := func(name, password string) string {
		return `{"operation":"create_authentication_tokens","username":"` + name + `","password":"` + password + `"}`
	}
	answer := func(body string) func(http.ResponseWriter, string, string) bool {
		return func(w http.ResponseWriter, _, _ string) bool { _, _ = io.WriteString(w, body); return true }
	}
	tests := []struct {
		name     string
		reply    func(http.ResponseWriter, string, string) bool
		login    string
		status   int
		imported *compat.User // nil: nobody
	}{
		{"a user whom the old server knows", nil, login("olga", "olgapw"), 200, &compat.User{Name: "olga", Role: "keeper", Active: true}},
		{"a wrong password there", nil, login("olga", "wrong"), 401, nil},
		{"a user whom nobody knows", nil, login("ghost", "x"), 401, nil},
		{"an old server that says yes to everything and names another user", answer(`{"operation_token":"` + oldToken("HDB_ADMIN") + `","refresh_token":"x"}`), login("olga", "x"), 503, nil},
		{"one that says yes without a token", answer(`{"message":"ok"}`), login("olga", "x"), 503, nil},
		{"one that says yes in HTML", answer(`<h1>welcome</h1>`), login("olga", "x"), 503, nil},
		{"one that fails", func(w http.ResponseWriter, _, _ string) bool { w.WriteHeader(500); return true }, login("olga", "x"), 503, nil},
		{"one that redirects", func(w http.ResponseWriter, _, _ string) bool {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(307)
			return true
		}, login("olga", "x"), 503, nil},
		{"one that tells nothing about roles", func(w http.ResponseWriter, operation, _ string) bool {
			if operation == "user_info" {
				w.WriteHeader(400)
			}
			return operation == "user_info"
		}, login("olga", "olgapw"), 200, &compat.User{Name: "olga", Active: true}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d, h := moving(t, &oldServer{reply: test.reply}, nil)
			if w := post(h, test.login); w.Code != test.status {
				t.Errorf("got %d %s", w.Code, w.Body)
			}
			u, err := d.User(t.Context(), "olga")
			if (err == nil) != (test.imported != nil) {
				t.Fatalf("imported %+v, %v", u, err)
			}
			if test.imported != nil {
				u.Created, u.Updated = time.Time{}, time.Time{}
				if diff := cmp.Diff(*test.imported, u); diff != "" {
					t.Errorf("imported (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestMigratedUsersAreAskedForOnce(t *testing.T) {
	o := &oldServer{}
	d, h := moving(t, o, nil)
	for range 3 {
		if w := send(h, "Basic "+base64.StdEncoding.EncodeToString([]byte("olga:olgapw")), `{"operation":"user_info"}`); w.Code != 200 {
			t.Fatalf("got %d %s", w.Code, w.Body)
		}
	}
	if n := len(o.requests()); n != 2 {
		t.Errorf("the old server was asked %d times: %v", n, o.requests())
	}
	role, err := d.Role(t.Context(), "keeper")
	if err != nil || string(role.Permission) != `{"super_user":false,"dog":{"tables":{}}}` {
		t.Errorf("role %s, %v", role.Permission, err)
	}
}

// refusing is an Importer that takes nobody.
type refusing struct{}

func (refusing) ImportUser(context.Context, compat.ImportedUser) error { return compat.ErrInvalid }

func TestWhoIsNotToComeBackDoesNot(t *testing.T) {
	_, h := moving(t, &oldServer{}, func(c *compat.Config) { c.Upstream.Importer = refusing{} })
	if w := post(h, `{"operation":"create_authentication_tokens","username":"olga","password":"olgapw"}`); w.Code != 401 {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

func TestUsersWhoHaveNotMovedAreManagedThere(t *testing.T) {
	for _, body := range []string{
		`{"operation":"alter_user","username":"olga","active":false}`,
		`{"operation":"drop_user","username":"olga"}`,
	} {
		o := &oldServer{}
		_, h := moving(t, o, nil)
		send(h, adminBasic, body)
		if seen := o.requests(); len(seen) != 1 || !strings.HasSuffix(seen[0], "_user "+adminBasic) {
			t.Errorf("%s: the old server saw %v", body, seen)
		}
	}
}
