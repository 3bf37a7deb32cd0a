package authserver

import (
	"net/http"
	"net/url"
	"slices"

	"github.com/ory/fosite"
)

// A target is a service that an access token is for: an audience (RFC 8693 section 2.1) or a resource (RFC 8707 section 2),
// which differ in nothing but that a resource is a URI.

// repeatable parameters may be included more than once (RFC 8693 section 2.1, RFC 8707 section 2).
var repeatable = []string{"audience", "resource"}

func invalidTarget(description string) *oauthError {
	return &oauthError{Status: http.StatusBadRequest, Code: "invalid_target", Description: description}
}

// readTargets adds the resources of a request to its audiences, which fosite reads.
func readTargets(form url.Values) error {
	resources := form["resource"]
	if len(resources) == 0 {
		return nil
	}
	for _, resource := range resources {
		u, err := url.Parse(resource)
		if err != nil || !u.IsAbs() || u.Fragment != "" || resource[len(resource)-1] == '#' {
			return invalidTarget("The resource is not an absolute URI without a fragment.")
		}
	}
	form["audience"] = append(fosite.GetAudiences(form), resources...)
	return nil
}

// checkTargets refuses a target that the client may not ask for.
func checkTargets(client fosite.Client, targets []string) error {
	for _, target := range targets {
		if !slices.Contains(client.GetAudience(), target) {
			return invalidTarget("The client may not ask for this audience or resource.")
		}
	}
	return nil
}

// narrowTargets gives the access token of a refresh the targets of the request, and refuses one that the session was not
// granted.
func (s *Server) narrowTargets(session *Session, req fosite.Requester, asked []string) error {
	granted := s.sessionTargets(req)
	for _, target := range asked {
		if !slices.Contains(granted, target) {
			return invalidTarget("The audience or resource is not one that the session was granted.")
		}
	}
	session.audience = asked
	return nil
}

// sessionTargets returns what the tokens of a session of the standard profile are for.
func (s *Server) sessionTargets(req fosite.Requester) []string {
	if granted := req.GetGrantedAudience(); len(granted) > 0 {
		return granted
	}
	return []string{s.config.Audience}
}

// audience returns the claim aud: a string for one audience, otherwise a list (RFC 7519 section 4.1.3).
func (s *Server) audience(session *Session, req fosite.Requester) any {
	targets := session.audience
	if len(targets) == 0 {
		targets = s.sessionTargets(req)
	}
	if len(targets) == 1 {
		return targets[0]
	}
	return slices.Clone(targets)
}
