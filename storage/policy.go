package storage

import (
	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/ory/fosite"
)

// policyClient is a client that says how its sessions behave, as Client does. A client of another type gets what Options say.
type policyClient interface {
	fosite.Client
	Policy() policy.Client
}

// policyOf returns the policy of a client.
func (d *db) policyOf(client fosite.Client) policy.Client {
	if c, ok := client.(policyClient); ok {
		return c.Policy()
	}
	return policy.Client{Grace: min(max(d.options.Grace, 0), policy.MaxGrace), SessionsPerUser: d.options.SessionLimit}
}

// A session may say where it was opened and last used from, for lists that people read.
type placed interface {
	Origin() (address, userAgent string)
}

const maxUserAgent = 200

func origin(s fosite.Session) (address, userAgent string) {
	p, ok := s.(placed)
	if !ok {
		return "", ""
	}
	address, userAgent = p.Origin()
	if len(userAgent) > maxUserAgent {
		userAgent = userAgent[:maxUserAgent]
	}
	return address, userAgent
}

// A session may say that its access tokens prove themselves: they are signed, and whoever asks the store about one has
// verified it before. Then they need no record each, however many a client fetches; the session's life is theirs. The
// signatures must be of Signature's making.
type selfProving interface {
	SelfContainedAccess() bool
}
