package compat

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// Importer stores users whose password the upstream has verified.
type Importer interface {
	// ImportUser stores the user, and the role unless there is one of that id. Afterwards the password verifies here.
	// ErrExists says that somebody else has just done so, which is as good. ErrInvalid refuses the user, who was dropped
	// here for example and is not to come back this way.
	ImportUser(ctx context.Context, u ImportedUser) error
}

// ImportedUser is what is known of a user that the upstream has vouched for.
type ImportedUser struct {
	Name     string
	Password string // as it was presented, to be hashed
	Active   bool
	// Role has no ID when the upstream told none. Its times are not known.
	Role Role
}

// migrate asks the upstream about a user that is unknown here, once, and stores whom it knows. imported says that the
// credentials are worth another try.
func (h *Handler) migrate(ctx context.Context, name, password string) (imported bool, err error) {
	if h.peer == nil || h.peer.Importer == nil || name == "" || password == "" {
		return false, nil
	}
	if _, err := h.cfg.Users.User(ctx, name); !errors.Is(err, ErrNotFound) {
		return false, err // known here, so the password is wrong; or nobody can tell
	}
	select {
	case h.peer.imports <- struct{}{}:
		defer func() { <-h.peer.imports }()
	default:
		return false, errors.New("compat: too many unknown users at once")
	}
	// A caller who hangs up does not undo what the upstream has been asked.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), h.peer.Timeout)
	defer cancel()
	user, err := h.peer.vouch(ctx, name, password)
	if err != nil || user == nil {
		return false, err
	}
	switch err := h.peer.Importer.ImportUser(ctx, *user); {
	case errors.Is(err, ErrInvalid):
		return false, nil
	case err != nil && !errors.Is(err, ErrExists):
		return false, fmt.Errorf("compat: import user: %w", err)
	}
	h.log.InfoContext(ctx, "user imported from upstream", "user", name, "role", user.Role.ID)
	return true, nil
}

// vouch returns the user if the upstream takes the password, nil if it does not, and an error if its answer is neither.
func (p *peer) vouch(ctx context.Context, name, password string) (*ImportedUser, error) {
	status, body, err := p.ask(ctx, http.Header{"Content-Type": {"application/json"}}, encode(struct {
		Operation string `json:"operation"`
		Username  string `json:"username"`
		Password  string `json:"password"`
	}{createTokens, name, password}))
	if err != nil {
		return nil, err
	}
	var answer tokens
	switch {
	case status == http.StatusUnauthorized || status == http.StatusBadRequest || status == http.StatusForbidden:
		return nil, nil //nolint:nilnil // nobody is a verdict
	case status != http.StatusOK:
		return nil, fmt.Errorf("compat: upstream answers a login with %d", status)
	case json.Unmarshal(body, &answer) != nil:
		return nil, errors.New("compat: upstream answers a login without JSON")
	}
	subject, super, ok := claims(answer.OperationToken)
	if !ok || subject != name {
		return nil, errors.New("compat: upstream answers a login with no token of that user")
	}
	u := &ImportedUser{Name: name, Password: password, Active: true}
	if super {
		u.Role = Role{ID: "super_user", Name: "super_user", Permission: json.RawMessage(`{"super_user":true}`)}
	}
	return u, p.facts(ctx, u, answer.OperationToken)
}

// facts adds what the upstream says about its user's role. An upstream without user_info leaves what the token says.
func (p *peer) facts(ctx context.Context, u *ImportedUser, token string) error {
	status, body, err := p.ask(ctx, http.Header{
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
	if info.Username != u.Name {
		return errors.New("compat: upstream tells of another user than was asked for")
	}
	if info.Active != nil {
		u.Active = *info.Active
	}
	if permission, _, err := scan(info.Role.Permission); info.Role.ID != "" && err == nil && permission.kind() == object {
		u.Role = Role{ID: info.Role.ID, Name: info.Role.Name, Permission: permission.raw}
	}
	return nil
}

// claims reads who a token is for. Its signature is not checked: the token came from the upstream itself. Old servers put the
// whole user record into the claim.
func claims(token string) (username string, super, ok bool) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return "", false, false
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return "", false, false
	}
	var c struct {
		Username json.RawMessage `json:"username"`
		Super    bool            `json:"super_user"`
	}
	var record struct {
		Username string `json:"username"`
	}
	if json.Unmarshal(payload, &c) != nil {
		return "", false, false
	}
	if json.Unmarshal(c.Username, &username) == nil {
		return username, c.Super, true
	}
	return record.Username, c.Super, json.Unmarshal(c.Username, &record) == nil && record.Username != ""
}
