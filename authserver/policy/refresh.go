package policy

import (
	"slices"
	"time"
)

// Values of Client.Refresh: what becomes of a refresh token that was used.
const (
	// RefreshStrict: each refresh token is good once, and its second use ends the session at once (RFC 9700 section 4.14.2).
	// A client whose response was lost must log in again.
	RefreshStrict = "strict"
	// RefreshGrace: each refresh token is good once. Within Client.Grace the old one gets the same response again, so that a
	// lost response costs nothing; later its use ends the session (RFC 9700 section 4.14.2, with a tolerance).
	RefreshGrace = "grace"
	// RefreshRotate is the older name of RefreshGrace.
	RefreshRotate = "rotate"
	// RefreshFAPI2: a refresh token is good until it expires, and no other is issued, as the FAPI 2.0 Security Profile,
	// section 5.3.2.1, asks of a server: "shall not use refresh token rotation except in extraordinary circumstances". The
	// client must be confidential, because RFC 9700 section 4.14.2 leaves public ones no choice but rotation.
	RefreshFAPI2 = "fapi2"
	// RefreshStatic is RefreshFAPI2 for any client, public ones too: what clients of the operations API need.
	RefreshStatic = "static"
)

const (
	// DefaultGrace is the grace of a client that sets none.
	DefaultGrace = 10 * time.Second
	// MaxGrace is the longest grace. A token that comes back later is not a lost response any more.
	MaxGrace = time.Minute
)

// RefreshPolicies returns the values of Client.Refresh in the order in which documents list them.
func RefreshPolicies() []string {
	return []string{RefreshStrict, RefreshGrace, RefreshFAPI2, RefreshStatic, RefreshRotate}
}

// HasGrace tells whether a refresh policy knows a grace: only then may Client.Grace be set.
func HasGrace(refresh string) bool {
	return slices.Contains([]string{"", RefreshGrace, RefreshRotate}, refresh)
}

// DefaultGraceOf returns the grace of a client with this refresh policy that sets none.
func DefaultGraceOf(refresh string) time.Duration {
	if HasGrace(refresh) {
		return DefaultGrace
	}
	return 0
}

// Static tells whether a refresh token stays good until it expires.
func (c Client) Static() bool { return c.Refresh == RefreshStatic || c.Refresh == RefreshFAPI2 }

// RotationGrace returns the grace that holds for the client's sessions: within bounds, and zero where the refresh policy
// knows none, even if nobody has validated the client.
func (c Client) RotationGrace() time.Duration {
	if !HasGrace(c.Refresh) {
		return 0
	}
	return min(max(c.Grace, 0), MaxGrace)
}
