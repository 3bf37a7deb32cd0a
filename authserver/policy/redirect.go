package policy

import (
	"net/url"
	"slices"
	"strings"
)

// MaxRedirectURIs is how many redirect URIs a client may have.
const MaxRedirectURIs = 100

// grantTypes returns the grants that the client may have. Those of an authorization endpoint need somewhere to go back to.
func (c Client) grantTypes() []string {
	if len(c.RedirectURIs) == 0 {
		return GrantTypes()
	}
	return append(GrantTypes(), GrantAuthorizationCode, GrantImplicit)
}

// redirects checks what an authorization endpoint needs of a client.
func (p *Problems) redirects(c Client) {
	p.check("redirect_uris", len(c.RedirectURIs) <= MaxRedirectURIs, "lists more than %d", MaxRedirectURIs)
	for _, uri := range c.RedirectURIs {
		p.check("redirect_uris", isRedirectURI(uri), "%q is not an absolute URI of a page or an application without a fragment (RFC 6749, section 3.1.2)", uri)
	}
	p.check("response_types", len(c.ResponseTypes) == 0 || len(c.RedirectURIs) > 0, "needs redirect_uris")
	for _, response := range c.ResponseTypes {
		kinds := strings.Fields(response)
		p.check("response_types", len(kinds) > 0, "one is empty")
		for _, kind := range kinds {
			p.oneOf("response_types", kind, "code", "token", "id_token")
		}
		p.check("response_types", !slices.Contains(kinds, "code") || slices.Contains(c.Grants, GrantAuthorizationCode), "%q needs the grant %s", response, GrantAuthorizationCode)
		p.check("response_types", !slices.Contains(kinds, "token") || slices.Contains(c.Grants, GrantImplicit), "%q needs the grant %s", response, GrantImplicit)
	}
}

// isRedirectURI tells whether a text is an absolute URI as RFC 6749 section 3.1.2 wants it.
func isRedirectURI(text string) bool {
	uri, err := url.Parse(text)
	return err == nil && len(text) <= 2000 && uri.IsAbs() && !strings.Contains(text, "#") && !strings.ContainsFunc(text, notPrintable) &&
		(uri.Host != "" || uri.Opaque != "" || uri.Path != "") && !slices.Contains(scriptSchemes, strings.ToLower(uri.Scheme))
}

// scriptSchemes are those of texts that a browser runs, with the rights of the page that redirects to them.
var scriptSchemes = []string{"javascript", "data", "vbscript"}
