package password

import (
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

// What a stored hash may cost. A hash past these bounds has been tampered with, and is refused when it is read.
const (
	minBcryptCost, maxBcryptCost = 4, 16
	maxScryptLog                 = 20
	maxScryptMemory              = 1 << 30 // bytes: 128 · N · r
	maxScryptWork                = 4 << 30
	maxPBKDF2                    = 5_000_000
	minSalt, maxSalt             = 8, 256
	minKey, maxKey               = 16, 128
)

// The forms that are accepted, in full: one spelling each, so that the costs that are checked here are those that run.
var (
	argon2idForm = regexp.MustCompile(`^\$argon2id\$v=19\$m=([1-9]\d{0,7}),t=([1-9]\d{0,3}),p=([1-9]\d{0,3})\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+$`)
	bcryptForm   = regexp.MustCompile(`^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$`)
	scryptForm   = regexp.MustCompile(`^\$scrypt\$ln=([1-9]\d?),r=([1-9]\d{0,3}),p=([1-9]\d{0,3})\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+$`)
	pbkdf2Form   = regexp.MustCompile(`^\$pbkdf2(?:-sha(?:1|256|512))?\$([1-9]\d{0,7})\$[A-Za-z0-9./]+\$[A-Za-z0-9./]+$`)
)

// parsePHC reads argon2id and, for imports, bcrypt, scrypt and PBKDF2. The costs are returned for argon2id only.
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
		found = &policy.PasswordCosts{MemoryKiB: n[0], Iterations: n[1], Parallelism: n[2], InsecureCheap: true} // another server may have made it
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
			return digest, nil, nil // salt and key have fixed lengths
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
		return nil, nil, fmt.Errorf("%w: unreadable", ErrHash) // the cause quotes the hash
	}
	if n := len(digest.Salt()); n < minSalt || n > maxSalt {
		return nil, nil, fmt.Errorf("%w: salt of %d bytes", ErrHash, n)
	}
	if n := len(digest.Key()); n < minKey || n > maxKey {
		return nil, nil, fmt.Errorf("%w: key of %d bytes", ErrHash, n)
	}
	return digest, found, nil
}

// numbers returns the numbers in a hash of this form, or nil when it has another form. No form allows more than eight digits.
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
