package throttle

import (
	"cmp"
	"net/netip"
	"time"
)

// Limits bound the failed logins and the wrong client secrets. The zero value has the defaults. A negative number of failures
// turns that limit off.
//
// A limit is a number of failures within a time. That many may come at once; after them one more is allowed every time/number, so
// that nobody is locked out for longer than that by what others have tried.
type Limits struct {
	// Disabled turns all limits off. Nothing is counted then.
	Disabled bool

	// PerUserNetwork is how often logins of one user may fail from one network within Window. Default 10. A success from the
	// network forgives these failures.
	PerUserNetwork int
	// PerUser is how often logins of one user may fail within UserWindow, from all the networks together that the user has not
	// logged in from, and without an address. Default 1000. No success forgives them.
	PerUser int
	// PerNetwork is how often logins of all users may fail from one network within Window, against guessing one password for
	// many users. Default 1000. Users who have logged in from the network before are not counted and not refused.
	PerNetwork int
	// PerClient is how many different secrets of one client may be wrong from one network within Window. Default 100.
	PerClient int

	// Window is the time of all limits but PerUser. Default 5 minutes.
	Window time.Duration
	// UserWindow is the time of PerUser. Default 24 hours.
	UserWindow time.Duration

	// IPv4Prefix and IPv6Prefix are how many bits of an address name its network. Defaults 24 and 64.
	IPv4Prefix, IPv6Prefix int
}

func (l Limits) withDefaults() Limits {
	l.PerUserNetwork = cmp.Or(l.PerUserNetwork, 10)
	l.PerUser = cmp.Or(l.PerUser, 1000)
	l.PerNetwork = cmp.Or(l.PerNetwork, 1000)
	l.PerClient = cmp.Or(l.PerClient, 100)
	l.Window = cmp.Or(max(l.Window, 0), 5*time.Minute)
	l.UserWindow = cmp.Or(max(l.UserWindow, 0), 24*time.Hour)
	l.IPv4Prefix = min(cmp.Or(max(l.IPv4Prefix, 0), 24), 32)
	l.IPv6Prefix = min(cmp.Or(max(l.IPv6Prefix, 0), 64), 128)
	if l.Disabled {
		l.PerUserNetwork, l.PerUser, l.PerNetwork, l.PerClient = -1, -1, -1, -1
	}
	return l
}

// limit is one of the limits as the scripts take it: failures is 0 for none.
type limit struct{ interval, failures int64 }

func limitOf(failures int, period time.Duration) limit {
	if failures <= 0 {
		return limit{interval: 1}
	}
	return limit{interval: max(period.Milliseconds()/int64(failures), 1), failures: int64(failures)}
}

// Network returns the network of an address, as it is counted. Of a text that is not an address it is the text, empty for none.
func (l Limits) Network(address string) string {
	l = l.withDefaults()
	a, err := netip.ParseAddr(address)
	if err != nil {
		return address[:min(len(address), 64)]
	}
	a = a.Unmap().WithZone("")
	bits := l.IPv4Prefix
	if a.Is6() {
		bits = l.IPv6Prefix
	}
	p, _ := a.Prefix(bits) // withDefaults keeps the bits in range
	return p.String()
}
