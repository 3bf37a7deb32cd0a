package password

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"

	"github.com/opgrant/opgrant/authserver/policy"
)

// The forms in which hashes are stored. Our own is the empty scheme. The first three are HarperDB's, by the names of its
// hash_function; a row without one is MD5 there.
const (
	SchemeMD5      = "md5"      // 9 characters of salt, then hex MD5(password + salt)
	SchemeSHA256   = "sha256"   // 16 characters of salt, then hex SHA-256(password + salt)
	SchemeArgon2id = "argon2id" // 16 characters of salt, then argon2id as a PHC string
	SchemeCrypt    = "crypt"    // argon2id, bcrypt, scrypt or PBKDF2 that another server made
)

// ErrHash is returned for a stored hash that is refused: unreadable, of an unknown kind, or of costs that would stop the
// server. The error never contains the hash.
var ErrHash = errors.New("storage: stored hash refused")

// Stored is a stored hash that has been read and may be run.
type Stored struct {
	match func(password string) bool
	slow  bool                  // takes about as long as one of ours: no second hash is needed to hide its speed
	costs *policy.PasswordCosts // of our own argon2id over the normalised password; nil for every form that is to be replaced
	kind  string                // what hashes of the same cost share; empty for fast ones
}

// Kind names what all hashes share that take the same time to verify: the form, the parameters, and the lengths of salt and
// key. It holds nothing of the hash itself. It is empty for the fast forms, which are always verified together with one hash of
// our own, and for nil.
func (s *Stored) Kind() string {
	if s == nil {
		return ""
	}
	return s.kind
}

// current tells whether the hash is what would be made today.
func (s *Stored) current(p policy.PasswordCosts) bool {
	return s.costs != nil && s.costs.MemoryKiB == p.MemoryKiB && s.costs.Iterations == p.Iterations && s.costs.Parallelism == p.Parallelism
}

// Parse reads a stored hash of the given scheme, or returns ErrHash.
func Parse(scheme, encoded string) (*Stored, error) {
	switch scheme {
	case "":
		digest, costs, err := parsePHC(encoded)
		if err != nil {
			return nil, err
		}
		if costs == nil {
			return nil, fmt.Errorf("%w: not argon2id", ErrHash)
		}
		return &Stored{
			match: func(p string) bool { return digest.Match(normalise(p)) }, slow: true, costs: costs, kind: kindOf(scheme, encoded),
		}, nil
	case SchemeCrypt:
		digest, _, err := parsePHC(encoded)
		if err != nil {
			return nil, err
		}
		return &Stored{match: digest.Match, slow: true, kind: kindOf(scheme, encoded)}, nil
	default:
		return parseHarper(scheme, encoded)
	}
}

// Scheme returns the scheme of an imported hash, or ErrHash. named is what its source calls it; empty, it is recognised.
func Scheme(named, encoded string) (string, error) {
	scheme := named
	switch {
	case strings.HasPrefix(encoded, "$"):
		scheme = SchemeCrypt // whatever it is called: HarperDB's own never begin with a dollar
	case named != "":
	case harperArgon2Form.MatchString(encoded):
		scheme = SchemeArgon2id
	case harperSHA256Form.MatchString(encoded):
		scheme = SchemeSHA256
	case harperMD5Form.MatchString(encoded):
		scheme = SchemeMD5
	}
	if _, err := Parse(scheme, encoded); err != nil {
		return "", err
	}
	return scheme, nil
}

func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
