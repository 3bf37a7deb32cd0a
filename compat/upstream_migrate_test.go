package compat_test

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/opgrant/opgrant/compat"
)

func TestImport(t *testing.T) {
	login := func(name, password string) string {
		return `{"operation":"create_authentication_tokens","username":"` + name + `","password":"` + password + `"}`
	}
	answer := func(body string) func(http.ResponseWriter, *http.Request, string) bool {
		return func(w http.ResponseWriter, _ *http.Request, _ string) bool {
			_, _ = io.WriteString(w, body)
			return true
		}
	}
	tests := []struct {
		name     string
		reply    func(http.ResponseWriter, *http.Request, string) bool
		login    string
		status   int
		imported *compat.User // nil: not imported
	}{
		{"user of the upstream", nil, login("olga", "olgapw"), 200, &compat.User{Name: "olga", Role: "keeper", Active: true}},
		{"wrong password", nil, login("olga", "wrong"), 401, nil},
		{"unknown user", nil, login("ghost", "x"), 401, nil},
		{"answer with a token of another user", answer(`{"operation_token":"` + upstreamToken("HDB_ADMIN") + `","refresh_token":"x"}`), login("olga", "x"), 503, nil},
		{"answer without a token", answer(`{"message":"ok"}`), login("olga", "x"), 503, nil},
		{"answer that is not JSON", answer(`<h1>welcome</h1>`), login("olga", "x"), 503, nil},
		{"server error", func(w http.ResponseWriter, _ *http.Request, _ string) bool { w.WriteHeader(500); return true }, login("olga", "x"), 503, nil},
		{"redirect", func(w http.ResponseWriter, _ *http.Request, _ string) bool {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(307)
			return true
		}, login("olga", "x"), 503, nil},
		{"upstream without user_info", func(w http.ResponseWriter, _ *http.Request, operation string) bool {
			if operation == "user_info" {
				w.WriteHeader(400)
			}
			return operation == "user_info"
		}, login("olga", "olgapw"), 200, &compat.User{Name: "olga", Active: true}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d, h := withUpstream(t, &fakeUpstream{reply: test.reply}, nil)
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

func TestImportHappensOnce(t *testing.T) {
	u := &fakeUpstream{}
	d, h := withUpstream(t, u, nil)
	for range 3 {
		if w := send(h, "Basic "+base64.StdEncoding.EncodeToString([]byte("olga:olgapw")), `{"operation":"user_info"}`); w.Code != 200 {
			t.Fatalf("got %d %s", w.Code, w.Body)
		}
	}
	if n := len(u.requests()); n != 2 {
		t.Errorf("the upstream was asked %d times: %v", n, u.requests())
	}
	role, err := d.Role(t.Context(), "keeper")
	if err != nil || string(role.Permission) != `{"super_user":false,"dog":{"tables":{}}}` {
		t.Errorf("role %s, %v", role.Permission, err)
	}
}

// refusingImporter is an Importer that refuses every user.
type refusingImporter struct{}

func (refusingImporter) ImportUser(context.Context, compat.ImportedUser) error {
	return compat.ErrInvalid
}

func (refusingImporter) Dropped(_ context.Context, name string) (bool, error) {
	switch name {
	case "dropped":
		return true, nil
	case "unclear":
		return false, errors.New("the store does not answer")
	}
	return false, nil
}

func TestTheUpstreamIsNotAskedAboutDroppedUsers(t *testing.T) {
	u := &fakeUpstream{}
	_, h := withUpstream(t, u, func(c *compat.Config) { c.Upstream.Importer = refusingImporter{} })
	for name, want := range map[string]int{"dropped": 401, "unclear": 503} {
		for _, operation := range []string{"create_authentication_tokens", "sql"} {
			if w := post(h, `{"operation":"`+operation+`","username":"`+name+`","password":"x"}`); w.Code != want {
				t.Errorf("%s: got %d %s", name, w.Code, w.Body)
			}
		}
	}
	if seen := u.requests(); len(seen) > 0 {
		t.Errorf("the upstream saw %v", seen)
	}
}

func TestImportRefused(t *testing.T) {
	_, h := withUpstream(t, &fakeUpstream{}, func(c *compat.Config) { c.Upstream.Importer = refusingImporter{} })
	if w := post(h, `{"operation":"create_authentication_tokens","username":"olga","password":"olgapw"}`); w.Code != 401 {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

func TestChangesOfUsersAtTheUpstreamAreForwarded(t *testing.T) {
	for _, body := range []string{
		`{"operation":"alter_user","username":"olga","active":false}`,
		`{"operation":"drop_user","username":"olga"}`,
	} {
		u := &fakeUpstream{}
		_, h := withUpstream(t, u, nil)
		send(h, adminBasic, body)
		if seen := u.requests(); len(seen) != 1 || !strings.HasSuffix(seen[0], "_user "+adminBasic) {
			t.Errorf("%s: the upstream saw %v", body, seen)
		}
	}
}
