package policy

import (
	"regexp"
	"strings"
)

const (
	// MaxOrigins is how many origins a client may list.
	MaxOrigins      = 50
	maxOriginLength = 300 // bytes; the name of a host has at most 253
)

// originForm is the serialization of an origin (RFC 6454 section 6.2) in the letters that browsers send. "null", which they
// send for a document in a sandbox, of whatever website, does not have it, and neither does a wildcard.
var originForm = regexp.MustCompile(`^[a-z][a-z0-9+.-]*://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?$`)

// IsOrigin tells whether a browser sends this text as the Origin header of a website's requests: scheme, host and port in lower
// case, the port only where it is not that of the scheme.
func IsOrigin(origin string) bool {
	defaultPort := strings.HasPrefix(origin, "https://") && strings.HasSuffix(origin, ":443") ||
		strings.HasPrefix(origin, "http://") && strings.HasSuffix(origin, ":80")
	return len(origin) <= maxOriginLength && originForm.MatchString(origin) && !defaultPort
}

func (p *Problems) origins(list []string) {
	p.check("origins", len(list) <= MaxOrigins, "lists more than %d", MaxOrigins)
	for _, origin := range list {
		p.check("origins", IsOrigin(origin), "%q is not an origin like https://app.example.org: no path, no wildcard, lower case", origin)
	}
}
