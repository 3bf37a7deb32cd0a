package compat

import "strings"

// The errors of atob.
const (
	badCharacterText = "Invalid character"
	badEncodingText  = "The string to be decoded is not correctly encoded."
)

const base64Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

// atob decodes Basic credentials like the JavaScript function of that name: it skips white space, padding is optional, and each
// byte becomes one character. A name that was encoded as UTF-8 is therefore decoded as another name.
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
		v := strings.IndexByte(base64Alphabet, s[i])
		if v < 0 {
			return "", badCharacterText
		}
		bits, n = bits<<6|uint(v), n+6
		if n >= 8 {
			n -= 8
			b.WriteRune(rune(bits >> n & 0xff))
		}
	}
	if len(s)%4 == 1 {
		return "", badEncodingText
	}
	return b.String(), ""
}
