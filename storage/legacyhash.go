package storage

import (
	"crypto/md5" //nolint:gosec // verifies hashes that another server made, once
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
)

// The forms in which imported hashes are stored until their users log in. The first three are HarperDB's, by the names of
// its `hash_function`; a row without one is MD5 there.
const (
	SchemeMD5      = "md5"      // 9 characters of salt, then hex MD5(password + salt)
	SchemeSHA256   = "sha256"   // 16 characters of salt, then hex SHA-256(password + salt)
	SchemeArgon2id = "argon2id" // 16 characters of salt, then argon2id as a PHC string
	schemeCrypt    = "crypt"    // argon2id, bcrypt, scrypt or PBKDF2 of any other making
)

const (
	md5Salt    = 9
	harperSalt = 16
)

// Salts are letters and digits there; any printable characters will do.
var (
	harperMD5Form    = regexp.MustCompile(`^[!-~]{9}[0-9a-f]{32}$`)
	harperSHA256Form = regexp.MustCompile(`^[!-~]{16}[0-9a-f]{64}$`)
	harperArgon2Form = regexp.MustCompile(`^[!-#%-~]{16}\$argon2id\$`)
)

// schemeOf returns the form of an imported hash. said is what its source calls it, which may be nothing.
func schemeOf(said, encoded string) (string, error) {
	scheme := said
	switch {
	case strings.HasPrefix(encoded, "$"):
		scheme = schemeCrypt // whatever it is called: HarperDB's own never begin like that
	case said != "":
	case harperArgon2Form.MatchString(encoded):
		scheme = SchemeArgon2id
	case harperSHA256Form.MatchString(encoded):
		scheme = SchemeSHA256
	case harperMD5Form.MatchString(encoded):
		scheme = SchemeMD5
	}
	if _, err := parseStored(scheme, encoded); err != nil {
		return "", err
	}
	return scheme, nil
}

// parseHarper reads HarperDB's forms.
func parseHarper(scheme, encoded string) (*storedHash, error) {
	switch scheme {
	case SchemeMD5:
		if !harperMD5Form.MatchString(encoded) {
			return nil, fmt.Errorf("%w: not HarperDB's md5", ErrHash)
		}
		return &storedHash{match: func(password string) bool {
			sum := md5.Sum([]byte(password + encoded[:md5Salt])) //nolint:gosec // see above
			return equal(encoded[md5Salt:], hex.EncodeToString(sum[:]))
		}}, nil
	case SchemeSHA256:
		if !harperSHA256Form.MatchString(encoded) {
			return nil, fmt.Errorf("%w: not HarperDB's sha256", ErrHash)
		}
		return &storedHash{match: func(password string) bool {
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
		// The open source hashes the password alone here, with the sixteen characters as argon2's own salt. Releases before it
		// cannot be read; where one followed its other two forms, it hashed password and salt.
		return &storedHash{slow: true, match: func(password string) bool {
			return digest.Match(password) || digest.Match(password+encoded[:harperSalt])
		}}, nil
	}
	return nil, fmt.Errorf("%w: unknown scheme", ErrHash)
}
