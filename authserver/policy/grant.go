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

// Grants of servers with an authorization endpoint. This module stores clients that have them, and offers neither.
const (
	GrantAuthorizationCode = "authorization_code" // RFC 6749 section 4.1
	GrantImplicit          = "implicit"           // RFC 6749 section 4.2
)

// Grant is one grant type and its requirements.
type Grant struct {
	// Type is the value of the parameter grant_type.
	Type string
	// Required are the parameters that a request must have besides grant_type.
	Required []string
	// Confidential is true for a grant that public clients cannot use.
	Confidential bool
	// Users is true for a grant that authenticates a user by password. Only a server that has users offers it.
	Users bool
	// AuthenticatesClient is true for a grant whose own parameters authenticate the client.
	AuthenticatesClient bool
}

// grants is the table of all grants.
var grants = []Grant{
	{Type: GrantPassword, Required: []string{"username", "password"}, Users: true},
	{Type: GrantRefreshToken, Required: []string{"refresh_token"}},
	{Type: GrantClientCredentials, Confidential: true},
	{Type: GrantJWTBearer, Required: []string{"assertion"}, AuthenticatesClient: true},
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

// OfferedProblems reports what is wrong with the list of grant types that a server offers; empty is all of them. The
// operations API logs in and refreshes by two of the grants. The key is that of the configuration file.
func OfferedProblems(offered []string, operations bool) Problems {
	var p Problems
	for _, grant := range offered {
		p.oneOf("grants", grant, GrantTypes()...)
	}
	for _, needed := range []string{GrantPassword, GrantRefreshToken} {
		p.check("grants", len(offered) == 0 || !operations || slices.Contains(offered, needed), "%s is missing, which the operations API needs", needed)
	}
	return p
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
