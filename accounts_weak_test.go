package opgrant_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/opgrant/opgrant"
	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/storage"
)

// The operations API says why it refuses a name or a password, in the shape of its other refusals.
func TestOperationsRefuseWeakPasswordsAndUnusualNames(t *testing.T) {
	const password = "not a common one"
	_, site := start(t, func(c *opgrant.Config) {
		c.Storage.Password = policy.PasswordCosts{MemoryKiB: policy.MinPasswordMemoryKiB, Iterations: 1} // not InsecureCheap
		c.Prepare = func(ctx context.Context, s *opgrant.Server) error {
			_, err := s.Store.Users.AddRole(ctx, storage.Role{ID: "super_user", Permission: []byte(`{"super_user":true}`)})
			return errors.Join(err, s.Store.Users.AddUser(ctx, storage.User{Name: "HDB_ADMIN", Role: "super_user", Active: true}, password))
		}
	})
	admin := basicAuth("HDB_ADMIN", password)
	add := func(name, password string) (int, map[string]any) {
		return operate(t, site, admin, `{"operation":"add_user","username":"`+name+`","password":"`+password+`","role":"super_user","active":true}`)
	}
	if status, body := add("alice", password); status != 200 {
		t.Fatalf("a good one: %d %v", status, body)
	}
	for _, row := range []struct{ name, password, want string }{
		{"bob", "", "Password can't be blank"},
		{"bob", "seven77", "Password is shorter than 8 characters"},
		{"bob", "password", "Password is one of the most common passwords"},
		{"bob", "bob12", "Password is shorter than 8 characters"},
		{"robert", "robert12", "Password is little more than the name of the user"},
		{"bob ", password, "Username is not in the form of RFC 8265"},
		{"ｂｏｂ", password, "Username is not in the form of RFC 8265"},
	} {
		status, body := add(row.name, row.password)
		if text, _ := body["error"].(string); status != 400 || len(body) != 1 || !strings.HasPrefix(text, row.want) {
			t.Errorf("add %q, %q: %d %v, want %s", row.name, row.password, status, body, row.want)
		}
	}
	status, body := operate(t, site, admin, `{"operation":"alter_user","username":"alice","password":"alice123"}`)
	if status != 400 || body["error"] != "Password is little more than the name of the user" {
		t.Errorf("alter_user: %d %v", status, body)
	}
	if status, _ := operate(t, site, basicAuth("alice", password), `{"operation":"user_info"}`); status != 200 {
		t.Errorf("the password has changed: %d", status)
	}
}
