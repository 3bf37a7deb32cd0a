package storage

import (
	"errors"
	"strings"
	"testing"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/storage/internal/password/passwordtest"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// strictUsers hashes as in production, and so checks passwords.
func strictUsers(t *testing.T, r *storagetest.Instance, rules policy.PasswordRules) *Users {
	t.Helper()
	u, err := NewUsers(r.Client(t), Options{Timeout: hang, PasswordRules: rules})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestWeakPasswordsAreNotSetHere(t *testing.T) {
	u, ctx := strictUsers(t, storagetest.StartMiniredis(t), policy.PasswordRules{}), t.Context()
	mustAdd(t, u, "alice", "wonderland", "")
	for _, weak := range []string{
		"", "seven77", "password", "PASSWORD", "ｐａｓｓｗｏｒｄ", "alicealice", "1ecila", "alice123", "aaaaaaaaaaaa",
	} {
		wantErr(t, weak, u.AddUser(ctx, User{Name: "bob"}, weak), map[bool]error{true: ErrWeak}[weak != "alicealice" && weak != "alice123"])
		_ = u.DropUser(ctx, "bob") // whose name those two are not
		err := u.ChangeUser(ctx, "alice", UserChange{Password: &weak})
		wantErr(t, weak, err, ErrWeak)
		if problem := (policy.Problem{}); !errors.As(err, &problem) || problem.Key != "password" {
			t.Errorf("%q: no reason in %v", weak, err)
		}
	}
	if _, err := u.Authenticate(ctx, "alice", "wonderland"); err != nil {
		t.Errorf("the password has changed: %v", err)
	}
	unknown := "a good password"
	wantErr(t, "unknown user", u.ChangeUser(ctx, "bob", UserChange{Password: &unknown}), fosite.ErrNotFound)
	longer := strictUsers(t, storagetest.StartMiniredis(t), policy.PasswordRules{MinLength: 15})
	wantErr(t, "14 characters", longer.AddUser(ctx, User{Name: "alice"}, "fourteen chars"), ErrWeak)
	if _, err := NewUsers(u.db.Client, Options{PasswordRules: policy.PasswordRules{MinLength: 7}}); err == nil {
		t.Error("a minimum of 7 is accepted")
	}
}

// Passwords and names that come from elsewhere stay as they are, and log in.
func TestImportedUsersAreNotChecked(t *testing.T) {
	u, ctx := strictUsers(t, storagetest.StartMiniredis(t), policy.PasswordRules{}), t.Context()
	if _, err := importUser(ctx, u, User{Name: "ａｄｍｉｎ", Active: true}, passwordtest.HarperMD5("x")); err != nil {
		t.Fatal(err)
	}
	if err := u.AddVerifiedUser(ctx, User{Name: " bob\u200b", Active: true}, "y"); err != nil {
		t.Fatal(err)
	}
	for name, password := range map[string]string{"ａｄｍｉｎ": "x", " bob\u200b": "y"} {
		for range 2 { // the second time by its new hash
			if _, err := u.Authenticate(ctx, name, password); err != nil {
				t.Errorf("%q: %v", name, err)
			}
		}
	}
}

func TestNamesOfNewUsersHaveOneForm(t *testing.T) {
	u, ctx := testUsers(t, storagetest.StartMiniredis(t)), t.Context()
	for _, name := range []string{
		"alice", "Alice", "HDB_ADMIN", "alice@example.org", "a/b", "5", "Jane Doe", "josé", "日本", "Ζωή", "x'; --", "", "אבג", "o'brien+test",
	} {
		if err := u.AddUser(ctx, User{Name: name}, "p"); err != nil {
			t.Errorf("%+q: %v", name, err)
		}
	}
	for _, name := range []string{
		" alice", "alice ", "alice\t", "al\nice", "ali\x00ce", "ali\x7fce", "Jane  Doe", "jane\u00a0doe", "jane\u3000doe", " ",
		"jose\u0301", "ａｌｉｃｅ", "ali\u200bce", "ali\u202ece", "\ufeffalice", "ali\u00adce", "\u212bngstrom", "ﬁona", "x²", "alice\u2028",
	} {
		err := u.AddUser(ctx, User{Name: name}, "p")
		wantErr(t, name, err, ErrWeak)
		if problem := (policy.Problem{}); !errors.As(err, &problem) || problem.Key != "username" || !strings.Contains(problem.Text, "RFC 8265") {
			t.Errorf("%+q: no reason in %v", name, err)
		}
	}
}
