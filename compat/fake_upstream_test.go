package compat_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opgrant/opgrant/compat"
)

// fakeUpstream is an old server that knows the user olga.
type fakeUpstream struct {
	// reply answers a request in place of the fake, unless it is nil or returns false.
	reply func(w http.ResponseWriter, r *http.Request, operation string) bool

	mu   sync.Mutex
	seen []string // operation and Authorization header of each request
}

func (u *fakeUpstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var op struct{ Operation, Username, Password string }
	_ = json.Unmarshal(body, &op)
	u.mu.Lock()
	u.seen = append(u.seen, strings.TrimSpace(op.Operation+" "+r.Header.Get("Authorization")))
	u.mu.Unlock()
	if u.reply != nil && u.reply(w, r, op.Operation) {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	switch op.Operation {
	case "create_authentication_tokens":
		if op.Username != "olga" || op.Password != "olgapw" {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"error":"invalid credentials"}`)
			return
		}
		_, _ = io.WriteString(w, `{"operation_token":"`+upstreamToken("olga")+`","refresh_token":"`+upstreamToken("olga")+`"}`)
	case "user_info":
		_, _ = io.WriteString(w, `{"active":true,"username":"olga","role":{"permission":{"super_user":false,"dog":{"tables":{}}},"role":"keeper","id":"keeper","__updatedtime__":1790000000000,"__createdtime__":1790000000000}}`)
	case "describe_all":
		_, _ = io.WriteString(w, `{"dog":{}}`)
	default:
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"error":"Operation '`+op.Operation+`' not found"}`)
	}
}

func (u *fakeUpstream) requests() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return append([]string(nil), u.seen...)
}

// upstreamToken is a token of an old server, with a made-up signature.
func upstreamToken(username string) string {
	part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	return part(`{"alg":"RS256","typ":"JWT"}`) + "." + part(`{"username":"`+username+`","super_user":false,"sub":"operation"}`) + ".c2ln"
}

// ImportUser implements compat.Importer.
func (d *directory) ImportUser(ctx context.Context, u compat.ImportedUser) error {
	if u.Role.ID != "" {
		_, _ = d.AddRole(ctx, u.Role)
	}
	return d.AddUser(ctx, compat.User{Name: u.Name, Role: u.Role.ID, Active: u.Active}, u.Password)
}

// Dropped implements compat.Importer.
func (d *directory) Dropped(context.Context, string) (bool, error) { return false, nil }

// withUpstream returns a handler that forwards to an upstream.
func withUpstream(t *testing.T, u *fakeUpstream, change func(*compat.Config)) (*directory, *compat.Handler) {
	t.Helper()
	s := httptest.NewServer(u)
	t.Cleanup(s.Close)
	d := newDirectory(t)
	return d, d.handler(t, func(c *compat.Config) {
		c.Upstream = &compat.Upstream{URL: s.URL, Importer: d, Timeout: 10 * time.Second}
		if change != nil {
			change(c)
		}
	})
}
