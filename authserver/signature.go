package authserver

import (
	"math"
	"strings"
)

// maxToken bounds the length of a token, in bytes. A JWT with an RS256 signature of 4096 bits has 1.2 kB.
const maxToken = 8 << 10

// tokenCharacters accepts the characters of base64url and dots. A lax decoder would also accept line ends and padding, and
// a revoked token could be sent again in another spelling.
func tokenCharacters(token string) bool {
	for i := range len(token) {
		c := token[i]
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return token != "" && len(token) <= maxToken
}

// looksLikeJWT tells JWTs from opaque refresh tokens by their shape.
func looksLikeJWT(token string) bool { return strings.Count(token, ".") == 2 }

// signature returns the name of a JWT in the store.
func (s *Server) signature(t *parsedToken) string {
	session := t.session
	if t.imported() {
		session = s.config.Storage.ImportedSessionID(t.subject, t.raw)
	}
	if t.kind == KindRefresh {
		return s.config.Storage.RefreshSignature(session, t.raw, t.number)
	}
	return s.config.Storage.TokenSignature(session, t.raw)
}

// claimNumber is the claim with the number of a JWT refresh token.
const claimNumber = "n"

// readNumber reads the claim n of a refresh token, which says how many its session has had with it. Those of clients whose refresh
// tokens do not rotate have none.
func (t *parsedToken) readNumber() bool {
	claim, present := t.claims[claimNumber]
	if !present {
		return true
	}
	n, ok := claim.(float64)
	if !ok || n < 1 || n > math.MaxUint32 || n != math.Trunc(n) {
		return false
	}
	t.number = uint32(n)
	return true
}
