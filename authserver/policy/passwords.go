package policy

import (
	_ "embed"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// PasswordRules say which passwords may be set here. Those that were imported are not checked: they can only be replaced.
type PasswordRules struct {
	// MinLength is the shortest password in characters, DefaultMinPassword to MaxMinPassword. Zero: the default.
	MinLength int
	// AllowWeak accepts any password that is not empty.
	AllowWeak bool
}

// Bounds of PasswordRules.MinLength, in characters.
const (
	// DefaultMinPassword is the floor of NIST SP 800-63B-4 for passwords beside a second factor. Where the password is the only
	// one, it asks for 15.
	DefaultMinPassword = 8
	MaxMinPassword     = 64

	// minPasswordBits refuses what is long and still one of a few: a repeated character, a row of the keyboard.
	minPasswordBits = 24
	// fewCharacters besides the user's name are not a password.
	fewCharacters = 4
)

// Problems reports a minimum length that is out of bounds. The key is that of the configuration file.
func (r PasswordRules) Problems() Problems {
	var p Problems
	p.check("min_length", r.MinLength == 0 || r.MinLength >= DefaultMinPassword && r.MinLength <= MaxMinPassword,
		"%d is not between %d and %d", r.MinLength, DefaultMinPassword, MaxMinPassword)
	return p
}

// PasswordProblems reports what is wrong with a password that is set for a user: it is too short, one of the most common ones,
// or little more than the user's name. The password should be in its NFKC form.
func (r PasswordRules) PasswordProblems(name, password string) Problems {
	var p Problems
	p.check("password", password != "", "is empty")
	if password == "" || r.AllowWeak {
		return p
	}
	minLength := r.MinLength
	if minLength == 0 {
		minLength = DefaultMinPassword
	}
	folded, name := strings.ToLower(password), strings.ToLower(name)
	switch {
	case utf8.RuneCountInString(password) < minLength:
		p.check("password", false, "is shorter than %d characters", minLength)
	case common(folded):
		p.check("password", false, "is one of the most common passwords")
	case name != "" && (remainder(folded, name) < fewCharacters || remainder(folded, reversed(name)) < fewCharacters):
		p.check("password", false, "is little more than the name of the user")
	case guessBits(password) < minPasswordBits:
		p.check("password", false, "only repeats or counts characters")
	}
	return p
}

// remainder counts the characters that are left of a password without a name.
func remainder(password, name string) int {
	return utf8.RuneCountInString(strings.ReplaceAll(password, name, ""))
}

func reversed(s string) string {
	runes := []rune(s)
	slices.Reverse(runes)
	return string(runes)
}

// The most frequent passwords of 8 characters and more in public leaks, in lower case and in order, and the defaults of the
// servers that users come from.
//
//go:embed common_passwords.txt
var commonPasswords string

var commonSet = sync.OnceValue(func() map[string]bool {
	set := map[string]bool{}
	for password := range strings.Lines(commonPasswords) {
		set[strings.TrimSpace(password)] = true
	}
	return set
})

// common tells whether a password, in lower case, is a common one.
func common(folded string) bool { return commonSet()[folded] }
