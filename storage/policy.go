package storage

import (
	"time"

	"github.com/ory/fosite"
)

// A client may say how its sessions behave by having any of these methods, as Client does. A client of another making that
// has none of them gets what Options say.
type (
	graceful    interface{ RefreshGrace() time.Duration }
	limited     interface{ SessionLimit() int }
	endsForSure interface{ MaxSessionLife() time.Duration }
)

// MaxGrace is the longest grace: past it a replay is no lost response any more.
const MaxGrace = time.Minute

func (d *db) grace(client fosite.Client) time.Duration {
	grace := d.options.Grace
	if c, ok := client.(graceful); ok {
		grace = c.RefreshGrace()
	}
	return min(max(grace, 0), MaxGrace)
}

func (d *db) sessionLimit(client fosite.Client) int {
	if c, ok := client.(limited); ok {
		return c.SessionLimit()
	}
	return d.options.SessionLimit
}

func (d *db) maxLife(client fosite.Client) time.Duration {
	if c, ok := client.(endsForSure); ok {
		return c.MaxSessionLife()
	}
	return 0
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
	SelfProvingAccess() bool
}
