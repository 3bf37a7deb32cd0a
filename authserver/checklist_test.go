package authserver_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// item is one line of the checklist: a requirement and its source.
type item struct {
	what   string
	source string
	// test checks it here. proof names tests that check it, as package.Test, in this package or another one.
	test  func(t *testing.T)
	proof string
	// exception says what does not hold, and why. It is a sentence of SECURITY.md.
	exception string
}

// checklist numbers sixty things that a token endpoint and the endpoints around it can get wrong.
var checklist = [61]item{
	1: {what: "only POST", source: "RFC 6749 3.2", proof: "authserver.TestRefusalsBeforeTheForm"},
	2: {what: "only urlencoded bodies", source: "RFC 6749 4.3.2", proof: "authserver.TestRefusalsBeforeTheForm"},
	3: {what: "no parameter twice", source: "RFC 6749 3.2", proof: "authserver.TestErrorsOfTheTokenEndpoint"},
	4: {what: "empty is absent, unknown is ignored", source: "RFC 6749 3.2", test: emptyIsAbsent},
	5: {what: "no credentials in the URL", source: "RFC 6749 2.3.1", proof: "authserver.TestRefusalsBeforeTheForm"},
	6: {what: "credentials in one place", source: "RFC 6749 2.3", proof: "authserver.TestErrorsOfTheTokenEndpoint"},
	7: {what: "Basic is form-decoded", source: "RFC 6749 2.3.1", test: basicIsFormDecoded},
	8: {what: "a client that is not authenticated is 401 with WWW-Authenticate", source: "RFC 6749 5.2", proof: "authserver.TestErrorsOfTheTokenEndpoint"},
	9: {
		what: "a grant that the client may not use", source: "RFC 6749 5.2, ASVS 10.4.4", proof: "authserver.TestErrorsOfTheTokenEndpoint",
		exception: "The password grant exists, against RFC 9700, section 2.4.",
	},
	10: {what: "an unknown grant", source: "RFC 6749 5.2", proof: "authserver.TestErrorsOfTheTokenEndpoint"},
	11: {what: "no answer is stored", source: "RFC 6749 5.1, 5.2", test: answersAreNotStored},
	12: {what: "token_type and expires_in are true", source: "RFC 6749 5.1", test: expiresInIsTrue},
	13: {what: "scope is told where it differs", source: "RFC 6749 5.1", test: scopeIsTold},
	14: {what: "error texts keep to their characters and echo nothing", source: "RFC 6749 5.2", test: errorsEchoNothing},
	15: {what: "refused logins look the same", source: "ASVS 6.3.8, WSTG", test: refusalsLookTheSame},
	16: {what: "refused logins take the same time", source: "ASVS 6.3.8", test: refusalsCostTheSame, proof: "storage.TestEveryRefusalCostsTheSame storage.TestRefusalsCostTheSameBesideImportedHashes ..TestLoginTiming"},
	17: {what: "passwords are compared whole", source: "SP 800-63B-4 3.1.1", proof: "storage/internal/password.TestPasswordsAreComparedWhole"},
	18: {what: "an over-long password costs no hash", source: "ASVS 6.2.9", test: longPasswordsCostNothing},
	19: {what: "passwords are normalised alike", source: "SP 800-63B-4 3.1.1.2", proof: "storage/internal/password.TestPasswordsAreNormalised"},
	20: {what: "user names have one form: byte by byte", source: "RFC 8265", test: namesAreBytes, proof: "storage.TestAddUserRefusesNamesThatCouldCollide"},
	21: {what: "failed logins are throttled per account", source: "SP 800-63B", proof: "storage/throttle.TestThrottleCountsFailures authserver.TestThrottledLoginIs429WithRetryAfter"},
	22: {what: "one throttle for both APIs and all replicas", source: "CVE-2026-9798", test: oneThrottleForAll},
	23: {what: "parallel guesses get no more hashes than the limit", source: "SP 800-63B", proof: "storage.TestParallelGuessesGetNoMoreHashesThanTheLimit"},
	24: {what: "a victim is not locked out for long", source: "RFC 6819 4.4.3.6", proof: "storage/throttle.TestThrottleLetsPassAgainAfterAWhile"},
	25: {what: "success forgives, counters expire", source: "SP 800-63B", proof: "storage/throttle.TestSuccessForgivesOneNetworkAlone storage/throttle.TestSuccessForgivesTheNetworkOneAttemptOnly storage/throttle.TestThrottleKeysAreNamedByHashAndExpire"},
	26: {what: "hashing is bounded, overload is 503", source: "RFC 6819 4.4.1.11", proof: "storage/internal/password.TestAFloodOfPasswordsWaitsForACore", test: overloadIs503},
	27: {what: "argon2id at OWASP's costs, replaced when outdated", source: "OWASP", proof: "storage/internal/password.TestDefaultCostsAreThoseThatOWASPAsksFor storage/internal/password.TestOutdatedCostsAreReplaced"},

	28: {what: "a refresh token is its client's", source: "RFC 6749 6, 10.4", proof: "authserver.TestReuseAloneEndsTheSession"},
	29: {
		what: "refresh tokens of public clients rotate", source: "RFC 9700 4.14.2, ASVS 10.4.5", test: publicClientsRotate,
		exception: "The legacy profile issues JWT refresh tokens that stay good until they expire, as old clients need.",
	},
	30: {what: "a used refresh token ends its session", source: "RFC 9700 4.14.2", proof: "authserver.TestReuseAloneEndsTheSession"},
	31: {what: "100 at once with one refresh token", source: "CVE-2026-1035", test: hundredAtOnce, proof: "authserver.TestParallelRefreshesGetOnePair"},
	32: {what: "within the grace the same client gets the same tokens again", source: "RFC 9700 4.14.2", test: graceIsBounded, proof: "authserver.TestLostAnswerIsGivenAgain"},
	33: {what: "used stays used after restarts", source: "CVE-2026-9802", test: usedStaysUsed},
	34: {what: "a failed write consumes nothing", source: "keycloak#49213", proof: "authserver.TestRefreshSurvivesAnOutage"},
	35: {what: "sessions end, however often they are refreshed", source: "ASVS 10.4.8", proof: "authserver.TestSessionsEndDespiteRefreshes"},
	36: {what: "wider scopes are refused, narrower ones granted", source: "RFC 6749 6", proof: "authserver.TestScopesOnRefresh"},
	37: {what: "no token is taken for another kind", source: "RFC 9700", test: kindsAreKeptApart},
	38: {what: "a changed password, a disabled and a dropped user end tokens", source: "CVE-2026-22706, ASVS 7.4.3", test: accountsEndTokens, proof: "authserver.TestAPasswordChangeEndsEverySession"},
	39: {what: "a role is read anew at each refresh", source: "HarperDB", proof: "authserver.TestARoleIsReadAnewAtEachRefresh"},
	40: {what: "refresh tokens have 160 random bits", source: "RFC 6749 10.10, RFC 6819 5.1.4.2.2", test: refreshTokensAreRandom},
	41: {what: "Redis holds no token and no secret", source: "RFC 6819 5.1.4.1.3", proof: "authserver.TestRedisAndTheLogHoldNoSecret"},
	42: {what: "legacy: a login replaces the user's refresh token, which does not rotate", source: "HarperDB", proof: "authserver.TestOneSessionPerUserEndsTheOlderRefreshTokenAlone authserver.TestLegacyRefreshTokenNeverRotates"},
	43: {what: "legacy: of parallel logins one refresh token is valid", source: "HarperDB", proof: "authserver.TestParallelLoginsLeaveExactlyOneGoodRefreshToken"},

	44: {what: "introspection is for clients on the list", source: "RFC 7662 2.1, 4", test: introspectionIsForSome},
	45: {what: "inactive says nothing else", source: "RFC 7662 2.2", test: inactiveSaysNothingElse},
	46: {what: "revoked is revoked, at every replica at once", source: "RFC 7009 2.2", test: revokedEverywhere, proof: "authserver.TestOutageIs503"},
	47: {what: "a refresh token takes its access tokens along", source: "RFC 7009 2.1", test: revocationTakesTheSession},
	48: {what: "a wrong token_type_hint is ignored", source: "RFC 7009 2.1", test: hintsAreIgnored},
	49: {what: "metadata is what works, whatever Host says", source: "RFC 8414 2, 3.3", test: metadataIsTrue},
	50: {what: "the JWKS has public members only", source: "RFC 7517 4", test: keySetIsPublic},
	51: {what: "keys rotate and no token fails", source: "RFC 7517, RFC 9068 4", proof: "authserver/resource.TestRotationUnderLoad"},
	52: {what: "the server chooses the algorithm", source: "RFC 8725 3.1, 3.2", proof: "authserver.TestForgedTokensAreInactive"},
	53: {what: "headers choose no key", source: "RFC 8725 3.10, RFC 7515 4.1.11", proof: "authserver.TestForgedTokensAreInactive"},
	54: {what: "a kid reaches no file and no Redis key", source: "RFC 8725 3.10", proof: "authserver.TestForgedTokensAreInactive"},
	55: {what: "type, issuer, audience and times are checked", source: "RFC 9068 4, RFC 8725 3.8-3.12", proof: "authserver.TestSignedTokensWithWrongClaimsAreInactive"},

	56: {what: "bodies, headers and slow senders are bounded", source: "ASVS 13.2", proof: "authserver.TestRefusalsBeforeTheForm cmd/opgrant/internal/server.TestHeadersAreBounded cmd/opgrant/internal/server.TestSlowSendersAreDisconnected"},
	57: {what: "no CORS where tokens are", source: "RFC 9700 2.6", test: noCORS},
	58: {what: "no secret in logs and errors", source: "ASVS 16.2.5", test: logsHoldNoSecret, proof: "storage.TestPasswordsStayOutOfErrorsAndRedis"},
	59: {what: "a name cannot forge a log line", source: "ASVS 16.4.1", test: logsCannotBeForged},
	60: {
		what: "loopback or TLS, administration elsewhere", source: "RFC 6749 1.6, 10.9", proof: "cmd/opgrant/internal/server.TestAdminListenerKnowsItsNames config.TestExampleShowsTheDefaults",
		exception: "Plain HTTP is what the server speaks. Put a proxy that ends TLS in front of it",
	},
}

// TestChecklist runs the tests of the list, and checks that the tests that it names elsewhere exist.
func TestChecklist(t *testing.T) {
	for number := 1; number < len(checklist); number++ {
		i := checklist[number]
		t.Run(fmt.Sprintf("%02d %s (%s)", number, i.what, i.source), func(t *testing.T) {
			if i.what == "" || i.source == "" || i.test == nil && i.proof == "" {
				t.Fatal("no test")
			}
			for _, proof := range strings.Fields(i.proof) {
				if !testExists(t, proof) {
					t.Errorf("there is no %s", proof)
				}
			}
			if i.test != nil {
				i.test(t)
			}
		})
	}
}

// testExists looks for the function in the package's files.
func testExists(t *testing.T, name string) bool {
	t.Helper()
	dot := strings.LastIndex(name, ".")
	files, err := filepath.Glob(filepath.Join("..", name[:dot], "*_test.go"))
	check(t, err)
	function := regexp.MustCompile(`(?m)^func ` + regexp.QuoteMeta(name[dot+1:]) + `\(t \*testing\.T\)`)
	for _, file := range files {
		source, err := os.ReadFile(file)
		check(t, err)
		if function.Match(source) {
			return true
		}
	}
	return false
}

// SECURITY.md names every exception.
func TestExceptionsAreInSECURITY(t *testing.T) {
	text, err := os.ReadFile("../SECURITY.md")
	check(t, err)
	for number, i := range checklist {
		if i.exception != "" && !strings.Contains(strings.Join(strings.Fields(string(text)), " "), i.exception) {
			t.Errorf("item %d: SECURITY.md does not say %q", number, i.exception)
		}
	}
}
