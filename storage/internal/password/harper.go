package password

import (
	"crypto/md5" // #nosec G501 -- verifies imported hashes, which the first login replaces
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
)

// Lengths of the salts in characters.
const (
	md5Salt    = 9
	harperSalt = 16
)

// HarperDB makes salts of letters and digits. Any printable characters are accepted.
var (
	harperMD5Form    = regexp.MustCompile(`^[!-~]{9}[0-9a-f]{32}$`)
	harperSHA256Form = regexp.MustCompile(`^[!-~]{16}[0-9a-f]{64}$`)
	harperArgon2Form = regexp.MustCompile(`^[!-#%-~]{16}\$argon2id\$`)
)

// parseHarper reads HarperDB's forms.
func parseHarper(scheme, encoded string) (*Stored, error) {
	switch scheme {
	case SchemeMD5:
		if !harperMD5Form.MatchString(encoded) {
			return nil, fmt.Errorf("%w: not HarperDB's md5", ErrHash)
		}
		return &Stored{match: func(password string) bool {
			sum := md5.Sum([]byte(password + encoded[:md5Salt])) // #nosec G401 -- see above
			return equal(encoded[md5Salt:], hex.EncodeToString(sum[:]))
		}}, nil
	case SchemeSHA256:
		if !harperSHA256Form.MatchString(encoded) {
			return nil, fmt.Errorf("%w: not HarperDB's sha256", ErrHash)
		}
		return &Stored{match: func(password string) bool {
			sum := sha256.Sum256([]byte(password + encoded[:harperSalt]))
			return equal(encoded[harperSalt:], hex.EncodeToString(sum[:]))
		}}, nil
	case SchemeArgon2id:
		if !harperArgon2Form.MatchString(encoded) {
			return nil, fmt.Errorf("%w: not HarperDB's argon2id", ErrHash)
		}
		digest, costs, err := parsePHC(encoded[harperSalt:])
		if err != nil {
			return nil, err
		}
		if costs == nil {
			return nil, fmt.Errorf("%w: not HarperDB's argon2id", ErrHash)
		}
		// The open source version hashes the password alone, with the sixteen characters as argon2's own salt. The source of
		// older releases is not public; in case one followed the other two forms, password and salt are tried too.
		return &Stored{slow: true, kind: kindOf(scheme, encoded), match: func(password string) bool {
			alone, salted := digest.Match(password), digest.Match(password+encoded[:harperSalt]) // both, or the time tells which
			return alone || salted
		}}, nil
	}
	return nil, fmt.Errorf("%w: unknown scheme", ErrHash)
}
