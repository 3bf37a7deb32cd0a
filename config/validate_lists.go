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

func (v *validation) users(list []User) {
	seen := map[string]bool{}
	for i, u := range list {
		at := fmt.Sprintf("users[%d].", i)
		v.check(at+"username", u.Username != "", "is missing")
		v.check(at+"username", u.Username == "" || !seen[u.Username], "%q is in the list twice", u.Username)
		seen[u.Username] = true
		v.check(at+"password", u.Password != "", "is missing; set password or password_file")
	}
}
