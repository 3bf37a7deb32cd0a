package config

import (
	"fmt"

	"github.com/opgrant/opgrant/authserver/policy"
)

// clients checks the list. What one entry may hold is for check to say, which the caller of Load has given.
func (v *validation) clients(list []Client, check func(Client) policy.Problems) {
	seen := map[string]bool{}
	for i, c := range list {
		at := fmt.Sprintf("clients[%d].", i)
		v.check(at+"id", c.ID == "" || !seen[c.ID], "%q is in the list twice", c.ID)
		seen[c.ID] = true
		if check != nil {
			v.include(at, check(c))
		}
	}
}

// users checks the list. Which names and passwords are refused is for check to say, as for clients.
func (v *validation) users(list []User, rules Passwords, check func(User, Passwords) policy.Problems) {
	seen := map[string]bool{}
	for i, u := range list {
		at := fmt.Sprintf("users[%d].", i)
		v.check(at+"username", u.Username != "", "is missing")
		v.check(at+"username", u.Username == "" || !seen[u.Username], "%q is in the list twice", u.Username)
		seen[u.Username] = true
		v.check(at+"password", u.Password != "", "is missing; set password or password_file")
		if check != nil && u.Password != "" {
			v.include(at, check(u, rules))
		}
	}
}
