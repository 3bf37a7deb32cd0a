package storage

import (
	"fmt"
	"strings"

	"golang.org/x/text/secure/precis"
	"golang.org/x/text/unicode/norm"

	"github.com/opgrant/opgrant/authserver/policy"
)

// CheckNewUser reports why AddUser would refuse a name and a password, by the keys "username" and "password".
func CheckNewUser(name, password string, rules policy.PasswordRules) policy.Problems {
	var p policy.Problems
	if err := checkName(name); err != nil {
		return append(p, policy.Problem{Key: "username", Text: err.Error()})
	}
	if len(password) > MaxPassword {
		p = append(p, policy.Problem{Key: "password", Text: ErrPasswordTooLong.Error()})
	}
	if !canonicalName(name) {
		p = append(p, policy.Problem{Key: "username", Text: "is not in the form of RFC 8265: letters, digits and ASCII punctuation, " +
			"composed (NFC), of usual width, with single spaces between parts"})
	}
	return append(p, checkNewPassword(name, password, rules)...)
}

func checkNewPassword(name, password string, rules policy.PasswordRules) policy.Problems {
	if len(password) > MaxPassword {
		return nil // reported as what it is
	}
	return rules.PasswordProblems(norm.NFKC.String(name), norm.NFKC.String(password))
}

// canonicalName tells whether a name is its own canonical form: the profile UsernameCasePreserved of RFC 8265 section 3.4
// leaves each part between spaces as it is. Control characters, white space at the ends, invisible characters and forms of
// other width or composition fail. The empty name, which HarperDB knows, cannot be mistaken for another.
func canonicalName(name string) bool {
	if name == "" {
		return true
	}
	for part := range strings.SplitSeq(name, " ") {
		canonical, err := precis.UsernameCasePreserved.String(part)
		if err != nil || canonical != part || part == "" {
			return false
		}
	}
	return true
}

// weak is ErrWeak with the first of the problems, or nil.
func weak(p policy.Problems) error {
	if len(p) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrWeak, p[0])
}
