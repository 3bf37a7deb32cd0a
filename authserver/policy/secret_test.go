package policy_test

import (
	"strings"
	"testing"

	"github.com/opgrant/opgrant/authserver/policy"
)

func TestSecretsThatAreTooEasyToGuessAreRefused(t *testing.T) {
	for secret, want := range map[string]string{
		"":                         "shorter",
		"x":                        "shorter",
		"seven77":                  "shorter",
		"aaaaaaaa":                 "guess",
		strings.Repeat("a", 200):   "guess",
		"abababababababab":         "guess",
		"abcabcabcabcabcabc":       "guess",
		"abcdefghijklmnop":         "guess",
		"zyxwvutsrqponmlk":         "guess",
		"1234567890123456":         "guess",
		"qwertyuiop[]asdfg":        "guess",
		"secretsecret":             "guess",
		"83749261":                 "guess", // random, but there are a hundred million of them
		"password":                 "common",
		"Password1":                "common",
		"demo-secret":              "",
		"8f3k2m9x7q":               "",
		"correct horse battery":    "",
		"0123456789abcdef01234567": "guess",
		"9b1deb4d3b7d4bad":         "",
	} {
		problems := policy.SecretProblems(secret)
		if want == "" && len(problems) > 0 || want != "" && (len(problems) != 1 || problems[0].Key != "secret" || !strings.Contains(problems[0].Text, want)) {
			t.Errorf("%.40q: %v, want %q", secret, problems, want)
		}
		if err := problems.Err(); err != nil && len(secret) > 1 && want != "common" && strings.Contains(err.Error(), secret) {
			t.Errorf("the error tells the secret: %v", err)
		}
	}
}

func TestPasswordsThatAreSetHere(t *testing.T) {
	for _, row := range []struct {
		name, password string
		min            int
		want           string
	}{
		{"alice", "", 0, "empty"},
		{"alice", "seven77", 0, "shorter than 8"},
		{"alice", "пароль7", 0, "shorter than 8"}, // characters, not bytes
		{"alice", "пароль77", 0, ""},
		{"alice", "fourteen chars", 15, "shorter than 15"},
		{"alice", "fifteen chars ok", 15, ""},
		{"alice", "password", 0, "common"},
		{"alice", "PassW0rd", 0, "common"},
		{"alice", "iloveyou", 0, "common"},
		{"alice", "12345678", 0, "common"},
		{"alice", "alicealice", 0, "name"},
		{"Alice", "123alice", 0, "name"},
		{"alice@example.org", "ALICE@example.org1", 0, "name"},
		{"rumpelstilz", "zlitslepmur", 0, "name"},
		{"alice", "alice in wonderland", 0, ""},
		{"", "no name at all", 0, ""},
		{"alice", "bbbbbbbbbbbb", 0, "repeats"},
		{"alice", "abcdefgh5678", 0, "repeats"},
		{"alice", "wonderland", 0, ""},
		{"alice", "8 simple", 0, ""},
	} {
		problems := policy.PasswordRules{MinLength: row.min}.PasswordProblems(row.name, row.password)
		if row.want == "" && len(problems) > 0 || row.want != "" && (len(problems) != 1 || problems[0].Key != "password" || !strings.Contains(problems[0].Text, row.want)) {
			t.Errorf("%s, %q: %v, want %q", row.name, row.password, problems, row.want)
		}
	}
	for length, ok := range map[int]bool{-1: false, 0: true, 1: false, 7: false, 8: true, 15: true, 64: true, 65: false} {
		if problems := (policy.PasswordRules{MinLength: length}).Problems(); ok != (len(problems) == 0) {
			t.Errorf("%d: %v", length, problems)
		}
	}
	weak := policy.PasswordRules{AllowWeak: true}
	if p := weak.PasswordProblems("alice", "x"); len(p) > 0 {
		t.Errorf("weak, and allowed: %v", p)
	}
	if p := weak.PasswordProblems("alice", ""); len(p) != 1 {
		t.Errorf("empty: %v", p)
	}
}
