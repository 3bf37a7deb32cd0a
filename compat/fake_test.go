package compat_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opgrant/opgrant/compat"
)

// directory is a minimal OAuth 2.0 token endpoint with users, roles and sessions.
type directory struct {
	mu         sync.Mutex
	now        func() time.Time
	accessTTL  time.Duration
	refreshTTL time.Duration
	users      map[string]*account
	roles      map[string]compat.Role
	sessions   map[string]string // :: active session → user
	newest     map[string]string // :: user → the session whose refresh token is valid
	count      int
}

type account struct {
	compat.User
	password string
}

func newDirectory(t testing.TB) *directory {
	t.Helper()
	d := &directory{
		now: time.Now, accessTTL: 24 * time.Hour, refreshTTL: 30 * 24 * time.Hour,
		users: map[string]*account{}, roles: map[string]compat.Role{},
		sessions: map[string]string{}, newest: map[string]string{},
	}
	ctx := context.Background()
	if _, err := d.AddRole(ctx, compat.Role{ID: "super_user", Name: "super_user", Permission: json.RawMessage(`{"super_user":true}`)}); err != nil {
		t.Fatal(err)
	}
	if err := d.AddUser(ctx, compat.User{Name: "HDB_ADMIN", Role: "super_user", Active: true}, "password"); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *directory) handler(t testing.TB, change func(*compat.Config)) *compat.Handler {
	t.Helper()
	c := compat.Config{Token: d, Authenticator: d, Users: d, Roles: d}
	if change != nil {
		change(&c)
	}
	h, err := compat.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// ServeHTTP is the token endpoint.
func (d *directory) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil || r.PostForm.Get("client_id") != "operations" {
		oauthError(w, http.StatusBadRequest, "invalid_client", "")
		return
	}
	form := r.PostForm
	switch form.Get("grant_type") {
	case "password":
		caller, err := d.Password(r.Context(), compat.Credentials{Name: form.Get("username"), Password: form.Get("password")})
		if err != nil {
			oauthError(w, http.StatusBadRequest, "invalid_grant", "")
			return
		}
		d.open(w, caller, form.Get("role"), form.Get("expires_in"), d.refreshTTL)
	case "urn:ietf:params:oauth:grant-type:token-exchange":
		caller, _, err := d.Token(r.Context(), form.Get("subject_token"))
		if err != nil {
			oauthError(w, http.StatusBadRequest, "invalid_grant", "")
			return
		}
		d.open(w, caller, form.Get("role"), form.Get("expires_in"), expiry(form.Get("subject_token")).Sub(d.now()))
	case "refresh_token":
		caller, kind, err := d.Token(r.Context(), form.Get("refresh_token"))
		switch {
		case err == compat.ErrExpired && kind == compat.RefreshToken: //nolint:errorlint // d returns it bare
			oauthError(w, http.StatusBadRequest, "invalid_grant", "The refresh token expired.")
		case err != nil || kind != compat.RefreshToken:
			oauthError(w, http.StatusBadRequest, "invalid_grant", "")
		default:
			d.answer(w, map[string]any{"access_token": d.sign(caller, "", "operation", "", d.accessTTL)})
		}
	default:
		oauthError(w, http.StatusBadRequest, "unsupported_grant_type", "")
	}
}

func oauthError(w http.ResponseWriter, status int, code, description string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": code, "error_description": description})
}

func (d *directory) answer(w http.ResponseWriter, body map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body)
}

// expiry returns the claim exp of a token.
func expiry(token string) time.Time {
	payload, _ := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	var c struct{ Exp int64 }
	_ = json.Unmarshal(payload, &c)
	return time.Unix(c.Exp, 0)
}

// open starts a session, which revokes the refresh token of the user's session before.
func (d *directory) open(w http.ResponseWriter, caller compat.Caller, role, expiresIn string, refreshTTL time.Duration) {
	if role != "" && role != caller.Role {
		oauthError(w, http.StatusBadRequest, "invalid_request", "The role is not the user's.")
		return
	}
	ttl := d.accessTTL
	if n, err := strconv.ParseInt(expiresIn, 10, 64); err == nil {
		ttl = time.Duration(min(n, 9e9)) * time.Second
	}
	d.mu.Lock()
	d.count++
	session := fmt.Sprintf("session-%d", d.count)
	d.sessions[session] = caller.Name
	d.newest[caller.Name] = session
	d.mu.Unlock()
	access := d.signFor(caller, role, "operation", session, ttl, expiresIn)
	d.answer(w, map[string]any{"access_token": access, "refresh_token": d.sign(caller, role, "refresh", session, refreshTTL)})
}

func (d *directory) caller(u *account) compat.Caller {
	role, ok := d.roles[u.Role]
	if !ok {
		return compat.Caller{Name: u.Name}
	}
	return compat.Caller{Name: u.Name, Role: u.Role, SuperUser: strings.Contains(string(role.Permission), `"super_user":true`)}
}

// Password implements compat.Authenticator.
func (d *directory) Password(_ context.Context, c compat.Credentials) (compat.Caller, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	u := d.users[c.Name]
	switch {
	case u == nil || u.password != c.Password:
		return compat.Caller{}, compat.ErrInvalid
	case !u.Active:
		return compat.Caller{}, compat.ErrInactive
	}
	return d.caller(u), nil
}

var (
	_ compat.Authenticator = (*directory)(nil)
	_ compat.Users         = (*directory)(nil)
	_ compat.Roles         = (*directory)(nil)
)
