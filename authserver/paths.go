package authserver

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"strings"
)

// pathsOf returns the paths on which an endpoint is served.
func (s *Server) pathsOf(endpoint string) []string {
	under := issuerPath(s.config.Issuer)
	paths := []string{endpoint}
	if under != "" {
		paths = append(paths, under+endpoint)
	}
	if under != "" && endpoint == pathMetadata {
		paths = append(paths, pathMetadata+under) // RFC 8414 section 3.1
	}
	return paths
}

// issuerPath is /auth for https://host/auth, and empty for an issuer without a path.
func issuerPath(issuer string) string {
	u, err := url.Parse(issuer)
	if err != nil {
		return ""
	}
	return u.EscapedPath()
}

// plainPath has no character that is written in two ways in a URL, and none that means something to a router.
var plainPath = regexp.MustCompile(`^(/[A-Za-z0-9._~-]+)*$`)

// issuerProblem says what is wrong with an issuer: RFC 8414 section 2, and that its path can be served.
func issuerProblem(issuer string) error {
	u, err := url.Parse(issuer)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return fmt.Errorf("issuer %q is not an http(s) URL", issuer)
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.User != nil || strings.HasSuffix(issuer, "/") || strings.HasSuffix(issuer, "#"):
		return errors.New("issuer must have no query, no fragment, no user and no trailing slash")
	case !plainPath.MatchString(u.EscapedPath()) || path.Clean("/"+u.Path) != "/"+strings.TrimPrefix(u.Path, "/"):
		return fmt.Errorf("issuer %q: its path may hold segments of letters, digits and - . _ ~ only", issuer)
	}
	return nil
}
