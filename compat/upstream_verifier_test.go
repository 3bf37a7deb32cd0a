package compat_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/opgrant/opgrant/compat"
)

func verifier(t *testing.T, u *fakeUpstream) *compat.Verifier {
	t.Helper()
	s := httptest.NewServer(u)
	t.Cleanup(s.Close)
	v, err := compat.NewVerifier(compat.Upstream{URL: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// operations are the names of the operations that the upstream has seen.
func (u *fakeUpstream) operations() []string {
	names := []string{}
	for _, seen := range u.requests() {
		name, _, _ := strings.Cut(seen, " ")
		names = append(names, name)
	}
	return names
}

var (
	readOnly  = []string{"user_info"}
	loggedIn  = []string{"create_authentication_tokens", "user_info"}
	bothWays  = []string{"user_info", "create_authentication_tokens", "user_info"}
	bothFail  = []string{"user_info", "create_authentication_tokens"}
	loginFail = []string{"create_authentication_tokens"}
)

// A login at the old server replaces the user's refresh token there, so it is the last resort.
func TestTheVerifierOnlyReadsWhereItCan(t *testing.T) {
	boss := compat.Role{ID: "6abdc4ba", Name: "boss", Permission: []byte(`{"super_user":true}`)}
	keeper := compat.Role{ID: "keeper", Name: "keeper", Permission: []byte(`{"super_user":false,"dog":{"tables":{}}}`)}
	for _, test := range []struct {
		name, password string
		want           compat.ImportedUser
		err            error
		asked          []string
	}{
		{"olga", "olgapw", compat.ImportedUser{Name: "olga", Active: true, Role: keeper}, nil, readOnly},
		{"olga", "wrong", compat.ImportedUser{}, compat.ErrInvalid, readOnly},
		{"Olga", "olgapw", compat.ImportedUser{}, compat.ErrInvalid, readOnly},
		{"ghost", "olgapw", compat.ImportedUser{}, compat.ErrInvalid, readOnly},
		// Refused before the password is looked at, so the answer says nothing about the password.
		{"carol", "carolpw", compat.ImportedUser{}, compat.ErrInvalid, readOnly},
		{"carol", "wrong", compat.ImportedUser{}, compat.ErrInvalid, readOnly},
		{"norbert", "norbertpw", compat.ImportedUser{Name: "norbert", Active: true}, nil, bothWays},
		{"norbert", "wrong", compat.ImportedUser{}, compat.ErrInvalid, readOnly},
		{"zoë", "zoëpw", compat.ImportedUser{Name: "zoë", Active: true, Role: boss}, nil, loggedIn},
		{"zoë", "zoepw", compat.ImportedUser{}, compat.ErrInvalid, loginFail},
		{"a:b", "c:d", compat.ImportedUser{Name: "a:b", Active: true, Role: boss}, nil, loggedIn},
		{"a", "b:c:d", compat.ImportedUser{}, compat.ErrInvalid, loginFail},
		{"olga", "olga\x7fpw", compat.ImportedUser{}, compat.ErrInvalid, loginFail},
		{"", "olgapw", compat.ImportedUser{}, compat.ErrInvalid, []string{}},
		{"olga", "", compat.ImportedUser{}, compat.ErrInvalid, []string{}},
	} {
		t.Run(test.name+" "+test.password, func(t *testing.T) {
			u := &fakeUpstream{}
			got, err := verifier(t, u).Verify(t.Context(), test.name, test.password)
			if !errors.Is(err, test.err) || (err != nil) != (test.err != nil) {
				t.Errorf("error %v, want %v", err, test.err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("user (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.asked, u.operations()); diff != "" {
				t.Errorf("asked (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheVerifierAnswersInTime(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	silent := httptest.NewServer(&fakeUpstream{reply: neverAnswer})
	defer silent.Close()
	for _, url := range []string{"http://" + closed.Addr().String(), silent.URL} {
		v, err := compat.NewVerifier(compat.Upstream{URL: url, Timeout: 50 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"olga", "zoë"} {
			if _, err := v.Verify(context.Background(), name, "olgapw"); err == nil || errors.Is(err, compat.ErrInvalid) {
				t.Errorf("%s: %v", url, err)
			}
		}
	}
	if _, err := compat.NewVerifier(compat.Upstream{URL: "old.example"}); err == nil {
		t.Error("a URL that is not one is accepted")
	}
}

// A user of an old version, whose tokens have the whole record as the name, and a role that cannot be stored.
func TestTheVerifierReadsOldVersions(t *testing.T) {
	record := "eyJhbGciOiJSUzI1NiJ9.eyJ1c2VybmFtZSI6eyJ1c2VybmFtZSI6Im9sZ2EiLCJyb2xlIjp7fX0sInN1cGVyX3VzZXIiOnRydWV9.c2ln"
	u := &fakeUpstream{}
	u.reply = func(w http.ResponseWriter, r *http.Request, operation string) bool {
		return answerWith("user_info", 400, `{"error":"x"}`)(w, r, operation) ||
			answerWith("create_authentication_tokens", 200, `{"operation_token":"`+record+`","refresh_token":"x"}`)(w, r, operation)
	}
	got, err := verifier(t, u).Verify(t.Context(), "olga", "any")
	want := compat.ImportedUser{Name: "olga", Active: true, Role: compat.Role{ID: "super_user", Name: "super_user", Permission: []byte(`{"super_user":true}`)}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v, user (-want +got):\n%s", err, diff)
	}
	for _, role := range []string{`null`, `"keeper"`, `{"id":"keeper","permission":[]}`, `{"permission":{}}`} {
		u := &fakeUpstream{reply: answerWith("user_info", 200, `{"username":"olga","active":false,"role":`+role+`}`)}
		got, err := verifier(t, u).Verify(t.Context(), "olga", "any")
		if diff := cmp.Diff(compat.ImportedUser{Name: "olga"}, got); diff != "" || err != nil {
			t.Errorf("role %s: %v, user (-want +got):\n%s", role, err, diff)
		}
	}
}

// A password that is too long for a header goes in the body: the old server answers 431 to such a header, whatever the password is.
func TestTheVerifierSendsLongPasswordsInTheBody(t *testing.T) {
	for _, n := range []int{1 << 10, 5 << 10, 12 << 10, 64 << 10} {
		u := &fakeUpstream{reply: func(w http.ResponseWriter, r *http.Request, _ string) bool {
			tooLong := len(r.Header.Get("Authorization")) > 8<<10
			if tooLong {
				w.WriteHeader(http.StatusRequestHeaderFieldsTooLarge)
			}
			return tooLong
		}}
		if _, err := verifier(t, u).Verify(t.Context(), "olga", strings.Repeat("x", n)); !errors.Is(err, compat.ErrInvalid) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}
