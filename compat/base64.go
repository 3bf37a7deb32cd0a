package compat

import "strings"

// The recorded texts about Basic credentials.
const (
	badCharacter = "Invalid character"
	badEncoding  = "The string to be decoded is not correctly encoded."
)

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

// atob decodes Basic credentials as the recorded server does: white space is skipped, padding may be left out, and each byte is
// one character, so that a name in UTF-8 is not the name that it looks like.
func atob(s string) (decoded, problem string) {
	s = strings.Map(func(r rune) rune {
		if strings.ContainsRune("\t\n\f\r ", r) {
			return -1
		}
		return r
	}, s)
	if len(s)%4 == 0 {
		for range 2 {
			s = strings.TrimSuffix(s, "=")
		}
	}
	var b strings.Builder
	var bits, n uint
	for i := range len(s) {
		v := strings.IndexByte(alphabet, s[i])
		if v < 0 {
			return "", badCharacter
		}
		bits, n = bits<<6|uint(v), n+6
		if n >= 8 {
			n -= 8
			b.WriteRune(rune(bits >> n & 0xff))
		}
	}
	if len(s)%4 == 1 {
		return "", badEncoding
	}
	return b.String(), ""
}
