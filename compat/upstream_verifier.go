package compat

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/opgrant/opgrant/compat/internal/strictjson"
)

// Verifier verifies passwords at an old server. It is safe for concurrent use, and does not bound the questions at a time.
type Verifier struct{ upstream *upstreamClient }

// NewVerifier returns a Verifier. Of the Upstream it uses URL, Timeout and Transport.
func NewVerifier(u Upstream) (*Verifier, error) {
	target, err := u.target()
	if err != nil {
		return nil, err
	}
	return &Verifier{newUpstreamClient(target, u, slog.New(slog.DiscardHandler))}, nil
}

// ImportedUser is a user whose password an old server has verified.
type ImportedUser struct {
	Name   string
	Active bool
	// Role has no ID if the old server has returned none. Its times are not known.
	Role Role
}

// Verify returns the user if the password is right at the old server, and ErrInvalid if it refuses it, in the words that were
// recorded. Every other error leaves open whether the password is right: the server was not reached, or answers anything else, such
// as a redirect, HTML, 429, 5xx or another user. The errors contain neither the name nor the password nor the answer.
//
// It asks user_info with Basic credentials, which only reads. Where its answer is not conclusive it logs in by
// create_authentication_tokens, which replaces the refresh token that the user has there. That is so for
//
//   - a name or password with a colon or with characters beyond ASCII: servers decode Basic credentials with them differently;
//   - a name and password that are together longer than a header may be;
//   - a user without a role, and a server without user_info, which answer 400, 403 or 404;
//   - a 401 in other words than those that were recorded, for example because a proxy keeps the header to itself.
//
// The old server refuses a disabled user whatever the password is, so that one is ErrInvalid. It takes Upstream.Timeout at most.
func (v *Verifier) Verify(ctx context.Context, name, password string) (ImportedUser, error) {
	if name == "" || password == "" { // an empty one counts as no credentials in some places
		return ImportedUser{}, ErrInvalid
	}
	ctx, cancel := context.WithTimeout(ctx, v.upstream.Timeout)
	defer cancel()
	if basicIsPlain(name) && basicIsPlain(password) && len(name)+len(password) <= maxBasic {
		header := "Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+password))
		user, known, err := v.userInfo(ctx, name, header)
		if known || err != nil {
			return user, err
		}
	}
	return v.login(ctx, name, password)
}

// maxBasic is how long, in bytes, a name and a password may be for Basic credentials: old servers refuse a header of 16 KiB, and
// proxies often one of 8 KiB, which base64 makes of 6 KiB.
const maxBasic = 4 << 10

// basicIsPlain tells whether every old server reads a part of Basic credentials as it was meant.
func basicIsPlain(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' || r == ':' })
}

// userInfo asks who the caller is that an Authorization header belongs to. The header goes along always: an old server can be set
// up to take a request without one for that of a super user. known is false where the answer says nothing about the credentials.
func (v *Verifier) userInfo(ctx context.Context, name, authorization string) (user ImportedUser, known bool, err error) {
	const operation = "user_info"
	status, body, err := v.post(ctx, authorization, []byte(`{"operation":"`+operation+`"}`))
	if err != nil {
		return ImportedUser{}, false, err
	}
	info, ok := objectIn(body)
	problem := info.get("error")
	switch {
	case ok && status == http.StatusOK && info.get("username").Text() == name:
		return ImportedUser{Name: name, Active: info.get("active").Kind() != strictjson.Boolean || info.get("active").Bool(), Role: roleIn(info)}, true, nil
	case !ok || status == http.StatusOK || problem.Kind() != strictjson.String:
		return ImportedUser{}, false, unexpectedAnswer(operation, status)
	case status == http.StatusUnauthorized && (problem.Text() == loginFailedText || problem.Text() == userInactiveText):
		return ImportedUser{}, true, ErrInvalid
	case status == http.StatusBadRequest, status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusNotFound:
		return ImportedUser{}, false, nil
	}
	return ImportedUser{}, false, unexpectedAnswer(operation, status)
}

// login logs in at the old server.
func (v *Verifier) login(ctx context.Context, name, password string) (ImportedUser, error) {
	status, body, err := v.post(ctx, "", encodeJSON(struct {
		Operation string `json:"operation"`
		Username  string `json:"username"`
		Password  string `json:"password"`
	}{createTokensOperation, name, password}))
	if err != nil {
		return ImportedUser{}, err
	}
	answer, ok := objectIn(body)
	switch {
	case ok && status == http.StatusUnauthorized && answer.get("error").Text() == invalidCredentialsText:
		return ImportedUser{}, ErrInvalid
	case !ok || status != http.StatusOK:
		return ImportedUser{}, unexpectedAnswer(createTokensOperation, status)
	}
	token := answer.get("operation_token").Text()
	claims, ok := readClaims(token)
	if !ok || claims.username != name {
		return ImportedUser{}, unexpectedAnswer(createTokensOperation, status)
	}
	user, known, err := v.userInfo(ctx, name, "Bearer "+token)
	switch {
	case known && err == nil:
		return user, nil
	case known: // it has logged in a moment ago
		return ImportedUser{}, unexpectedAnswer("user_info", http.StatusUnauthorized)
	case err != nil:
		return ImportedUser{}, err
	}
	user = ImportedUser{Name: name, Active: true}
	if claims.superUser {
		user.Role = Role{ID: "super_user", Name: "super_user", Permission: json.RawMessage(`{"super_user":true}`)}
	}
	return user, nil
}

func (v *Verifier) post(ctx context.Context, authorization string, body []byte) (int, []byte, error) {
	header := http.Header{"Content-Type": {"application/json"}}
	if authorization != "" {
		header.Set("Authorization", authorization)
	}
	return v.upstream.post(ctx, header, body)
}

// objectIn reads an answer that is a JSON object.
func objectIn(body []byte) (*operation, bool) {
	top, members, err := strictjson.Parse(body)
	return newOperation(members), err == nil && top.Kind() == strictjson.Object
}

// roleIn is the role in an answer of user_info, without an ID where there is none that can be stored.
func roleIn(info *operation) Role {
	role, ok := objectIn(info.get("role").Raw)
	id, permission := role.get("id").Text(), role.get("permission")
	if !ok || id == "" || permission.Kind() != strictjson.Object {
		return Role{}
	}
	return Role{ID: id, Name: role.get("role").Text(), Permission: permission.Raw}
}

func unexpectedAnswer(operation string, status int) error {
	return fmt.Errorf("compat: the old server answers %s with %d and not as expected", operation, status)
}
