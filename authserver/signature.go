package authserver

import "strings"

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

// opaqueLength is the length of the random part of an opaque refresh token: 256 bits as base64url.
const opaqueLength = 43

// opaqueSession returns the session ID that an opaque refresh token begins with, or "" for what cannot be one.
func opaqueSession(token string) string {
	session, random, _ := strings.Cut(token, ".")
	if !tokenCharacters(token) || len(random) != opaqueLength || strings.Contains(random, ".") {
		return ""
	}
	return session
}

// signature returns the name of a token in the store, or "" for what cannot be a token of this server. A store answers for
// that without a round trip.
func (s *Server) signature(t *parsedToken) string {
	session := t.session
	if t.imported() {
		session = s.config.Storage.ImportedSessionID(t.subject, t.raw)
	}
	if session == "" {
		return ""
	}
	return s.config.Storage.TokenSignature(session, t.raw)
}
