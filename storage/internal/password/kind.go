package password

import (
	"strings"
)

// kindOf returns the kind of a slow hash: its scheme and the hash with every character of salt and key overwritten, so that
// parsing it again gives a hash of the same cost that no password matches.
func kindOf(scheme, encoded string) string {
	salt := ""
	if scheme == SchemeArgon2id {
		salt, encoded = strings.Repeat("A", harperSalt), encoded[harperSalt:]
	}
	if bcryptForm.MatchString(encoded) {
		cost := strings.LastIndexByte(encoded, '$') + 1
		return scheme + " $2b$" + encoded[cost-3:cost] + strings.Repeat(".", len(encoded)-cost)
	}
	parts := strings.Split(encoded, "$")
	for i := len(parts) - 2; i < len(parts); i++ { // every other form ends in salt and key
		parts[i] = strings.Repeat("A", len(parts[i]))
	}
	return scheme + " " + salt + strings.Join(parts, "$")
}

// parseKind reads a kind as a stored hash that can be verified for the time that it takes.
func parseKind(kind string) (*Stored, error) {
	scheme, encoded, _ := strings.Cut(kind, " ")
	return Parse(scheme, encoded)
}
