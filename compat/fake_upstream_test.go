package compat_test

import (
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

// upstreamUsers are the users of fakeUpstream.
var upstreamUsers = map[string]struct {
	password string
	active   bool
	role     string // empty: none
}{
	"olga":    {"olgapw", true, `{"permission":{"super_user":false,"dog":{"tables":{}}},"role":"keeper","id":"keeper","__updatedtime__":1790000000000,"__createdtime__":1790000000000}`},
	"carol":   {"carolpw", false, `{"permission":{"super_user":false},"role":"keeper","id":"keeper"}`},
	"norbert": {"norbertpw", true, ""},
	"zoë":     {"zoëpw", true, `{"permission":{"super_user":true},"role":"boss","id":"6abdc4ba"}`},
	"a:b":     {"c:d", true, `{"permission":{"super_user":true},"role":"boss","id":"6abdc4ba"}`},
}

// fakeUpstream is an old server that answers as recorded.
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
	answer := func(status int, body string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
	switch op.Operation {
	case "create_authentication_tokens":
		if user, ok := upstreamUsers[op.Username]; !ok || !user.active || user.password != op.Password {
			answer(401, `{"error":"invalid credentials"}`)
			return
		}
		answer(200, `{"operation_token":"`+upstreamToken(op.Username)+`","refresh_token":"`+upstreamToken(op.Username)+`"}`)
	case "user_info":
		name, problem := upstreamCaller(r)
		switch user := upstreamUsers[name]; {
		case problem != "":
			w.Header()["Content-Type"] = nil
			w.WriteHeader(401)
			_, _ = io.WriteString(w, `{"error":"`+problem+`"}`)
		case user.role == "":
			answer(403, `{"error":"This operation is not authorized due to role restrictions and/or invalid database items","unauthorized_access":["User `+name+` has no role or permissions.  Please assign the user a valid role."],"invalid_schema_items":[]}`)
		default:
			answer(200, `{"active":true,"username":"`+name+`","role":`+user.role+`}`)
		}
	case "describe_all":
		answer(200, `{"dog":{}}`)
	default:
		answer(400, `{"error":"Operation '`+op.Operation+`' not found"}`)
	}
}

// upstreamCaller finds the caller by the header, as recorded: it looks at a user's state before the password, and decodes Basic
// credentials byte by byte.
func upstreamCaller(r *http.Request) (name, problem string) {
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		payload, _ := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
		var claims struct{ Username string }
		_ = json.Unmarshal(payload, &claims)
		return claims.Username, ""
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(r.Header.Get("Authorization"), "Basic "))
	if err != nil {
		return "", "Invalid character"
	}
	var latin1 strings.Builder
	for _, b := range raw {
		latin1.WriteRune(rune(b))
	}
	name, password, _ := strings.Cut(latin1.String(), ":")
	switch user, ok := upstreamUsers[name]; {
	case !ok:
		return "", "Login failed"
	case !user.active:
		return "", "Cannot complete request: User is inactive"
	case user.password != password:
		return "", "Login failed"
	}
	return name, ""
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

// withUpstream returns a handler that forwards to an upstream.
func withUpstream(t *testing.T, u *fakeUpstream, change func(*compat.Config)) (*directory, *compat.Handler) {
	t.Helper()
	s := httptest.NewServer(u)
	t.Cleanup(s.Close)
	d := newDirectory(t)
	return d, d.handler(t, func(c *compat.Config) {
		c.Upstream = &compat.Upstream{URL: s.URL, Timeout: 10 * time.Second}
		if change != nil {
			change(c)
		}
	})
}
