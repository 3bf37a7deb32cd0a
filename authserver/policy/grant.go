package policy

import (
	"slices"
	"strings"
)

// Grant types of the token endpoint.
const (
	GrantPassword          = "password"
	GrantRefreshToken      = "refresh_token"
	GrantClientCredentials = "client_credentials"
	GrantJWTBearer         = extensionPrefix + "jwt-bearer"     // RFC 7523
	GrantTokenExchange     = extensionPrefix + "token-exchange" // RFC 8693

	// extensionPrefix begins the names of extension grants (RFC 6749 section 4.5).
	extensionPrefix = "urn:ietf:params:oauth:grant-type:"
)

// Grant is one grant type and what it takes.
type Grant struct {
	// Type is the value of the parameter grant_type.
	Type string
	// Required are the parameters that a request must have besides grant_type.
	Required []string
	// Confidential grants are not for public clients.
	Confidential bool
	// Users tells that the grant authenticates a user by password, and is offered only by a server that has users.
	Users bool
}

// grants is the table of all grants.
var grants = []Grant{
	{Type: GrantPassword, Required: []string{"username", "password"}, Users: true},
	{Type: GrantRefreshToken, Required: []string{"refresh_token"}},
	{Type: GrantClientCredentials, Confidential: true},
	{Type: GrantJWTBearer, Required: []string{"assertion"}},
	{Type: GrantTokenExchange, Required: []string{"subject_token", "subject_token_type"}},
}

// Grants returns all grants in the order in which documents list them.
func Grants() []Grant { return slices.Clone(grants) }

// FindGrant returns the grant of a type.
func FindGrant(grantType string) (Grant, bool) {
	i := slices.IndexFunc(grants, func(g Grant) bool { return g.Type == grantType })
	if i < 0 {
		return Grant{}, false
	}
	return grants[i], true
}

// GrantTypes returns the types of all grants.
func GrantTypes() []string {
	types := make([]string, len(grants))
	for i, g := range grants {
		types[i] = g.Type
	}
	return types
}

// ShortGrant returns a grant type without the prefix of extension grants, as people type it.
func ShortGrant(grantType string) string { return strings.TrimPrefix(grantType, extensionPrefix) }

// LongGrant returns the grant type that people may type without its prefix. A name that it does not know is returned as it is.
func LongGrant(name string) string {
	if _, ok := FindGrant(extensionPrefix + name); ok {
		return extensionPrefix + name
	}
	return name
}
