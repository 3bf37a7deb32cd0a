package storage

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"regexp"
	"strconv"

	"github.com/go-crypt/crypt/algorithm"
	"github.com/go-crypt/crypt/algorithm/argon2"
	"github.com/go-crypt/crypt/algorithm/bcrypt"
	"github.com/go-crypt/crypt/algorithm/pbkdf2"
	"github.com/go-crypt/crypt/algorithm/scrypt"
	"github.com/opgrant/opgrant/authserver/policy"
)

// ErrHash is the answer to a stored hash that is refused: unreadable, of an unknown kind, or of costs that would stop the
// server. The error never holds the hash itself.
var ErrHash = errors.New("storage: stored hash refused")

// storedHash is a hash that has been read and found fit to be run.
type storedHash struct {
	match func(password string) bool
	slow  bool                  // costs about as much as one of ours: no further hash is needed to hide its speed
	costs *policy.PasswordCosts // of our own argon2id over the normalised password; nil for every other form, which is to be replaced
}

// current tells whether the hash is what would be made today.
func (s *storedHash) current(p policy.PasswordCosts) bool {
	return s.costs != nil && s.costs.MemoryKiB == p.MemoryKiB && s.costs.Iterations == p.Iterations && s.costs.Parallelism == p.Parallelism
}

// What a stored hash may cost. Past these bounds somebody has tampered with it: it is refused when it is read.
const (
	minBcryptCost, maxBcryptCost = 4, 16
	maxScryptLog                 = 20
	maxScryptMemory              = 1 << 30 // bytes: 128 · N · r
	maxScryptWork                = 4 << 30
	maxPBKDF2                    = 5_000_000
	minSalt, maxSalt             = 8, 256
	minKey, maxKey               = 16, 128
)

// The forms that are read, in full: one spelling each, so that what is checked here is what runs.
var (
	argon2idForm = regexp.MustCompile(`^\$argon2id\$v=19\$m=([1-9]\d{0,7}),t=([1-9]\d{0,3}),p=([1-9]\d{0,3})\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+$`)
	bcryptForm   = regexp.MustCompile(`^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$`)
	scryptForm   = regexp.MustCompile(`^\$scrypt\$ln=([1-9]\d?),r=([1-9]\d{0,3}),p=([1-9]\d{0,3})\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+$`)
	pbkdf2Form   = regexp.MustCompile(`^\$pbkdf2(?:-sha(?:1|256|512))?\$([1-9]\d{0,7})\$[A-Za-z0-9./]+\$[A-Za-z0-9./]+$`)
)

// parsePHC reads argon2id and, for imports, bcrypt, scrypt and PBKDF2. costs is set for argon2id.
func parsePHC(encoded string) (algorithm.Digest, *policy.PasswordCosts, error) {
	var (
		digest algorithm.Digest
		found  *policy.PasswordCosts
		err    error
	)
	if len(encoded) > 1024 {
		return nil, nil, fmt.Errorf("%w: too long", ErrHash)
	}
	if n := numbers(argon2idForm, encoded); n != nil {
		found = &policy.PasswordCosts{MemoryKiB: n[0], Iterations: n[1], Parallelism: n[2], InsecureCheap: true} // made elsewhere, with costs of its own
		if err := found.Problems().Err(); err != nil {
			return nil, nil, fmt.Errorf("%w: argon2id: %w", ErrHash, err)
		}
		digest, err = argon2.DecodeVariant(argon2.VariantID)(encoded)
	} else if n := numbers(bcryptForm, encoded); n != nil {
		if n[0] < minBcryptCost || n[0] > maxBcryptCost {
			return nil, nil, fmt.Errorf("%w: bcrypt: cost %d is not from %d to %d", ErrHash, n[0], minBcryptCost, maxBcryptCost)
		}
		digest, err = bcrypt.DecodeVariant(bcrypt.VariantStandard)(encoded)
		if err == nil {
			return digest, nil, nil // its form has fixed lengths
		}
	} else if n := numbers(scryptForm, encoded); n != nil {
		if n[0] > maxScryptLog || n[1]<<n[0] > maxScryptMemory/128 || n[1]<<n[0]*n[2] > maxScryptWork/128 {
			return nil, nil, fmt.Errorf("%w: scrypt: costs too high", ErrHash)
		}
		digest, err = scrypt.DecodeVariant(scrypt.VariantScrypt)(encoded)
	} else if n := numbers(pbkdf2Form, encoded); n != nil {
		if n[0] > maxPBKDF2 {
			return nil, nil, fmt.Errorf("%w: pbkdf2: %d iterations are more than %d", ErrHash, n[0], maxPBKDF2)
		}
		digest, err = pbkdf2.Decode(encoded)
	} else {
		return nil, nil, fmt.Errorf("%w: not argon2id, bcrypt, scrypt or pbkdf2", ErrHash)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%w: unreadable", ErrHash) // the cause quotes what it could not read
	}
	if n := len(digest.Salt()); n < minSalt || n > maxSalt {
		return nil, nil, fmt.Errorf("%w: salt of %d bytes", ErrHash, n)
	}
	if n := len(digest.Key()); n < minKey || n > maxKey {
		return nil, nil, fmt.Errorf("%w: key of %d bytes", ErrHash, n)
	}
	return digest, found, nil
}

// numbers returns the numbers of a form, nil where it does not match. The forms keep them within eight digits.
func numbers(form *regexp.Regexp, s string) []int {
	m := form.FindStringSubmatch(s)
	if m == nil {
		return nil
	}
	n := make([]int, len(m)-1)
	for i := range n {
		n[i], _ = strconv.Atoi(m[i+1])
	}
	return n
}

// parseStored reads what a user record holds: our own argon2id, or what was imported.
func parseStored(scheme, encoded string) (*storedHash, error) {
	switch scheme {
	case "":
		digest, found, err := parsePHC(encoded)
		if err != nil {
			return nil, err
		}
		if found == nil {
			return nil, fmt.Errorf("%w: not argon2id", ErrHash)
		}
		return &storedHash{match: func(p string) bool { return digest.Match(normalised(p)) }, slow: true, costs: found}, nil
	case schemeCrypt:
		digest, _, err := parsePHC(encoded)
		if err != nil {
			return nil, err
		}
		return &storedHash{match: digest.Match, slow: true}, nil
	default:
		return parseHarper(scheme, encoded)
	}
}

func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
