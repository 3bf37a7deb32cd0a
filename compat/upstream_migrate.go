package compat

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/opgrant/opgrant/compat/internal/strictjson"
)

// Importer stores users whose password the upstream has verified.
type Importer interface {
	// ImportUser stores the user, and the role unless there is one with that id. Afterwards the password verifies here.
	// ErrExists means that another request has just imported the user, which counts as success. ErrInvalid refuses the user,
	// for example one that was dropped here.
	ImportUser(ctx context.Context, u ImportedUser) error
	// Dropped tells whether there was a user of that name here, who was dropped. The upstream, where the account may still
	// exist, is not asked about such a user.
	Dropped(ctx context.Context, name string) (bool, error)
}

// ImportedUser is a user whose password the upstream has verified.
type ImportedUser struct {
	Name     string
	Password string // in clear, to be hashed
	Active   bool
	// Role has no ID if the upstream has returned none. Its times are not known.
	Role Role
}

// importFromUpstream asks the upstream about a user that is unknown here, and stores the user if the password is right there.
// imported means that the credentials are worth another try.
func (h *Handler) importFromUpstream(ctx context.Context, name, password string) (imported bool, err error) {
	if !h.migrating() || name == "" || password == "" {
		return false, nil
	}
	if _, err := h.cfg.Users.User(ctx, name); !errors.Is(err, ErrNotFound) {
		return false, err // nil: the user is known here, so the password is wrong
	}
	if dropped, err := h.upstream.Importer.Dropped(ctx, name); dropped || err != nil {
		return false, err
	}
	select {
	case h.upstream.imports <- struct{}{}:
		defer func() { <-h.upstream.imports }()
	default:
		return false, errors.New("compat: too many unknown users at once")
	}
	// An import is completed even if the caller disconnects meanwhile.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), h.upstream.Timeout)
	defer cancel()
	user, err := h.upstream.verifyUpstream(ctx, name, password)
	if err != nil || user == nil {
		return false, err
	}
	switch err := h.upstream.Importer.ImportUser(ctx, *user); {
	case errors.Is(err, ErrInvalid):
		return false, nil
	case err != nil && !errors.Is(err, ErrExists):
		return false, fmt.Errorf("compat: import user: %w", err)
	}
	h.log.InfoContext(ctx, "user imported from upstream", "user", name, "role", user.Role.ID)
	return true, nil
}

// verifyUpstream logs in at the upstream. It returns nil if the upstream refuses the password, and an error if its answer is
// neither an acceptance nor a refusal.
func (u *upstreamClient) verifyUpstream(ctx context.Context, name, password string) (*ImportedUser, error) {
	status, body, err := u.post(ctx, http.Header{"Content-Type": {"application/json"}}, encodeJSON(struct {
		Operation string `json:"operation"`
		Username  string `json:"username"`
		Password  string `json:"password"`
	}{createTokensOperation, name, password}))
	if err != nil {
		return nil, err
	}
	var tokens tokensBody
	switch {
	case status == http.StatusUnauthorized || status == http.StatusBadRequest || status == http.StatusForbidden:
		return nil, nil //nolint:nilnil // there is no such user, which is not an error
	case status != http.StatusOK:
		return nil, fmt.Errorf("compat: upstream answers a login with %d", status)
	case json.Unmarshal(body, &tokens) != nil:
		return nil, errors.New("compat: upstream answers a login without JSON")
	}
	claims, ok := readClaims(tokens.OperationToken)
	if !ok || claims.username != name {
		return nil, errors.New("compat: upstream answers a login without a token of that user")
	}
	user := &ImportedUser{Name: name, Password: password, Active: true}
	if claims.superUser {
		user.Role = Role{ID: "super_user", Name: "super_user", Permission: json.RawMessage(`{"super_user":true}`)}
	}
	return user, u.loadRole(ctx, user, tokens.OperationToken)
}

// loadRole adds the user's role and whether the user is active, as user_info of the upstream returns them. If it returns
// nothing, the user keeps what the token says.
func (u *upstreamClient) loadRole(ctx context.Context, user *ImportedUser, token string) error {
	status, body, err := u.post(ctx, http.Header{
		"Content-Type":  {"application/json"},
		"Authorization": {"Bearer " + token},
	}, []byte(`{"operation":"user_info"}`))
	if err != nil {
		return err
	}
	var info struct {
		Username string `json:"username"`
		Active   *bool  `json:"active"`
		Role     struct {
			ID         string          `json:"id"`
			Name       string          `json:"role"`
			Permission json.RawMessage `json:"permission"`
		} `json:"role"`
	}
	if status != http.StatusOK || json.Unmarshal(body, &info) != nil {
		return nil
	}
	if info.Username != user.Name {
		return errors.New("compat: upstream returns another user than was asked for")
	}
	if info.Active != nil {
		user.Active = *info.Active
	}
	permission, _, err := strictjson.Parse(info.Role.Permission)
	if info.Role.ID != "" && err == nil && permission.Kind() == strictjson.Object {
		user.Role = Role{ID: info.Role.ID, Name: info.Role.Name, Permission: permission.Raw}
	}
	return nil
}

// tokenClaims are the claims of an operation token that are read here.
type tokenClaims struct {
	username  string
	superUser bool
}

// readClaims reads a token that comes from its issuer, whose signature therefore need not be checked. In the tokens of old
// servers the claim `username` is the whole user record.
func readClaims(token string) (tokenClaims, bool) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return tokenClaims{}, false
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return tokenClaims{}, false
	}
	var c struct {
		Username  json.RawMessage `json:"username"`
		SuperUser bool            `json:"super_user"`
	}
	if json.Unmarshal(payload, &c) != nil {
		return tokenClaims{}, false
	}
	var name string
	if json.Unmarshal(c.Username, &name) == nil {
		return tokenClaims{name, c.SuperUser}, true
	}
	var record struct {
		Username string `json:"username"`
	}
	ok := json.Unmarshal(c.Username, &record) == nil && record.Username != ""
	return tokenClaims{record.Username, c.SuperUser}, ok
}
