package compat

import (
	"regexp"
	"strings"
)

// sessionCookie is a session cookie of the old server: its name is the host or the origin, with "-hdb-session". Package http does
// not parse it, because of the colon in names such as 127_0.0.1:9925-hdb-session.
var sessionCookie = regexp.MustCompile(`^[0-9A-Za-z_.:\[\]-]*hdb-session=[0-9A-Za-z-]*$`)

// sessionCookies are the session cookies in the Cookie headers of a request.
func sessionCookies(headers []string) []string {
	var found []string
	for _, header := range headers {
		for pair := range strings.SplitSeq(header, ";") {
			if pair = strings.TrimSpace(pair); sessionCookie.MatchString(pair) {
				found = append(found, pair)
			}
		}
	}
	return found
}

// setSessionCookies are the Set-Cookie headers of an answer that set a session cookie.
func setSessionCookies(headers []string) []string {
	var found []string
	for _, header := range headers {
		if pair, _, _ := strings.Cut(header, ";"); sessionCookie.MatchString(strings.TrimSpace(pair)) {
			found = append(found, header)
		}
	}
	return found
}
