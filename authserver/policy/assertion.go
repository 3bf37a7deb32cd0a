package policy

import "time"

// Bounds of assertions (RFC 7523 section 3).
const (
	// DefaultAssertionTTL is how far ahead an assertion may expire where nothing else is set.
	DefaultAssertionTTL = time.Hour
	// MaxAssertionTTL is the longest such time. The store remembers each assertion for so long.
	MaxAssertionTTL = 24 * time.Hour
)

// The audiences that an assertion may be for (RFC 7523 section 3, item 3).
const (
	// AudienceEither accepts the issuer and the URL of the token endpoint. RFC 7523 and OpenID Connect Core allow both.
	AudienceEither = "either"
	// AudienceIssuer accepts the issuer alone, and no second value beside it, as the FAPI 2.0 Security Profile, section
	// 5.3.2.1, asks for. An assertion that was made for another server can then never be used here.
	AudienceIssuer = "issuer"
)

// AssertionProblems reports what is wrong with the settings of assertions. Zero values are the defaults. The keys are those
// of the configuration file.
func AssertionProblems(maxTTL time.Duration, audience string) Problems {
	var p Problems
	p.check("max_ttl", maxTTL == 0 || maxTTL >= time.Minute && maxTTL <= MaxAssertionTTL, "%s is not between %s and %s", maxTTL, time.Minute, MaxAssertionTTL)
	if audience != "" {
		p.oneOf("audience", audience, AudienceEither, AudienceIssuer)
	}
	return p
}
