package compat

import (
	"io"
	"net/http"
	"strings"
)

// The operations that are tokens.
const (
	createTokens = "create_authentication_tokens"
	refreshToken = "refresh_operation_token"
)

func isTokenOperation(name string) bool { return name == createTokens || name == refreshToken }

// ourOperation is one operation that is answered here.
type ourOperation struct {
	run func(*Handler, *call) (any, error)
	// internal is the name that the recorded server tells callers who are no super users. Empty: everybody may.
	internal string
	// accounts tells that it needs Users and Roles, and is answered here even where an upstream could.
	accounts bool
}

// ourOperations is the table of the operations that are answered here, but for the two token operations, which find their
// caller themselves.
var ourOperations = map[string]ourOperation{
	"user_info":    {run: (*Handler).userInfo, accounts: true},
	"list_users":   {run: (*Handler).listUsers, internal: "listUsersExternal", accounts: true},
	"add_user":     {run: (*Handler).addUser, internal: "addUser", accounts: true},
	"alter_user":   {run: (*Handler).alterUser, internal: "alterUser", accounts: true},
	"drop_user":    {run: (*Handler).dropUser, internal: "dropUser", accounts: true},
	"list_roles":   {run: (*Handler).listRoles, internal: "listRoles", accounts: true},
	"add_role":     {run: (*Handler).addRole, internal: "addRole", accounts: true},
	"alter_role":   {run: (*Handler).alterRole, internal: "alterRole", accounts: true},
	"drop_role":    {run: (*Handler).dropRole, internal: "dropRole", accounts: true},
	"describe_all": {run: (*Handler).describeAll},
}

// withoutCaller are the operations of the upstream that need none: they log in and out with cookies.
var withoutCaller = map[string]bool{"login": true, "logout": true}

// ours tells whether an operation is answered here.
func (h *Handler) ours(name string) bool {
	o, ok := ourOperations[name]
	switch {
	case isTokenOperation(name):
		return true
	case !ok:
		return false
	case o.accounts:
		return h.cfg.Users != nil
	}
	return h.forward == nil && h.cfg.Authenticator != nil
}

// passOn is the result of an operation that the upstream answers.
type passOn struct {
	caller Caller
	body   io.ReadCloser
	length int64
}

// dispatch answers an operation whose body has been read.
func (h *Handler) dispatch(c *call) (any, error) {
	name := c.op.Name()
	switch name {
	case createTokens:
		return h.create(c)
	case refreshToken:
		return h.refresh(c)
	}
	if h.forward != nil && (withoutCaller[name] || !h.ours(name) && c.byCookie()) {
		return &passOn{}, nil
	}
	if err := c.identify(h); err != nil {
		return nil, err
	}
	switch {
	case c.op.operation.kind() != text:
		return nil, badRequest("'operation' must be a string")
	case !h.ours(name) && h.forward != nil:
		return &passOn{caller: *c.caller}, nil
	case !h.ours(name):
		return nil, badRequest("Operation '" + name + "' not found")
	}
	if err := c.mayCall(); err != nil {
		return nil, err
	}
	o := ourOperations[name]
	if o.internal != "" && !c.caller.SuperUser {
		return nil, notAuthorized("Operation '" + o.internal + "' is restricted to 'super_user' roles")
	}
	return o.run(h, c)
}

// byCookie tells whether nothing but a cookie of the upstream says who calls. Only the upstream can check it, and it does:
// nothing of ours is added to such a request.
func (c *call) byCookie() bool {
	return c.by.scheme == noScheme && c.anonymous() && strings.Contains(c.r.Header.Get("Cookie"), "hdb-session=")
}

// describe says what an operation was, for the meter. Names that nobody knows are left out: they are the caller's to choose.
func (h *Handler) describe(c *call, result any) (operation, client string, forwarded bool) {
	_, forwarded = result.(*passOn)
	if c.op == nil {
		return "", "", forwarded
	}
	name := c.op.Name()
	if isTokenOperation(name) {
		client = h.cfg.ClientID
	}
	if h.ours(name) || forwarded && len(name) <= 64 {
		operation = name
	}
	return operation, client, forwarded
}

// describeAll is what a server without databases says. Clients call it to see whether the server is there.
func (h *Handler) describeAll(*call) (any, error) { return struct{}{}, nil }

// message is the answer to operations that end well and have nothing to say.
type message struct {
	Message string `json:"message"`
}

func notFound(text string) *failure { return &failure{status: http.StatusNotFound, message: text} }

func conflict(text string) *failure { return &failure{status: http.StatusConflict, message: text} }
