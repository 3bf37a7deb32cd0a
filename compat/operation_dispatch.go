package compat

import (
	"github.com/opgrant/opgrant/compat/internal/strictjson"
)

// The token operations. They find their caller themselves.
const (
	createTokensOperation = "create_authentication_tokens"
	refreshTokenOperation = "refresh_operation_token"
)

func isTokenOperation(name string) bool {
	return name == createTokensOperation || name == refreshTokenOperation
}

// localOperation is an operation that is answered here.
type localOperation struct {
	run func(*Handler, *call) (any, error)
	// internalName is the name that the recorded server tells callers who are not super users. Empty: everybody with a role
	// may call.
	internalName string
	// needsUsers means that the operation is answered here wherever Config.Users is set. The others go to the upstream, if
	// there is one.
	needsUsers bool
}

// localOperations are the operations that are answered here, except the token operations.
var localOperations = map[string]localOperation{
	"user_info":    {run: (*Handler).userInfo, needsUsers: true},
	"list_users":   {run: (*Handler).listUsers, internalName: "listUsersExternal", needsUsers: true},
	"add_user":     {run: (*Handler).addUser, internalName: "addUser", needsUsers: true},
	"alter_user":   {run: (*Handler).alterUser, internalName: "alterUser", needsUsers: true},
	"drop_user":    {run: (*Handler).dropUser, internalName: "dropUser", needsUsers: true},
	"list_roles":   {run: (*Handler).listRoles, internalName: "listRoles", needsUsers: true},
	"add_role":     {run: (*Handler).addRole, internalName: "addRole", needsUsers: true},
	"alter_role":   {run: (*Handler).alterRole, internalName: "alterRole", needsUsers: true},
	"drop_role":    {run: (*Handler).dropRole, internalName: "dropRole", needsUsers: true},
	"describe_all": {run: (*Handler).describeAll},
}

// The operations that start and end a cookie session of the upstream.
const (
	loginOperation  = "login"
	logoutOperation = "logout"
)

// handledLocally tells whether an operation is answered here.
func (h *Handler) handledLocally(name string) bool {
	o, ok := localOperations[name]
	switch {
	case isTokenOperation(name):
		return true
	case !ok:
		return false
	case o.needsUsers:
		return h.cfg.Users != nil
	}
	return h.upstream == nil && h.cfg.Authenticator != nil
}

// forwarded tells whether the upstream answers an operation. Without cookies there are no sessions to start or to end.
func (h *Handler) forwarded(name string) bool {
	if h.upstream == nil || h.handledLocally(name) {
		return false
	}
	return h.upstream.Cookies || name != loginOperation && name != logoutOperation
}

// dispatch runs the operation of a request that has been decoded. The result is the body of the answer, or an
// *upstreamRequest.
func (h *Handler) dispatch(c *call) (any, error) {
	switch {
	case c.binary:
		return h.forwardBinaryBody(c)
	case c.large != nil:
		return h.forwardLargeBody(c)
	}
	name := c.op.name()
	switch name {
	case createTokensOperation:
		return h.createTokens(c)
	case refreshTokenOperation:
		return h.refreshToken(c)
	}
	forwarded := h.forwarded(name)
	if forwarded && name == loginOperation {
		return h.forwardLogin(c)
	}
	if err := h.requireCaller(c); err != nil {
		return nil, err
	}
	switch {
	case c.op.value.Kind() != strictjson.String:
		return nil, badRequest("'operation' must be a string")
	case forwarded:
		return h.forwardBody(c)
	case !h.handledLocally(name):
		return nil, badRequest("Operation '" + name + "' not found")
	}
	if err := c.requireRole(); err != nil {
		return nil, err
	}
	o := localOperations[name]
	if o.internalName != "" && !c.caller.SuperUser {
		return nil, forbidden("Operation '" + o.internalName + "' is restricted to 'super_user' roles")
	}
	return o.run(h, c)
}

// describeAll returns no databases. Clients call it to see whether the server is up.
func (h *Handler) describeAll(*call) (any, error) { return struct{}{}, nil }
