package compat

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// word is what roles and their ids may be.
var word = regexp.MustCompile(`^[0-9A-Za-z_-]+$`)

// checkWord validates a member that names something.
func checkWord(label string, v value, required bool) []string {
	switch {
	case v.nullish() && required:
		return []string{label + " can't be blank"}
	case v.nullish(), v.kind() == text && word.MatchString(v.text()):
		return nil
	}
	return []string{label + " is invalid"}
}

// roleProblems is the recorded shape of a refused role.
type roleProblems struct {
	Error  string              `json:"error"`
	Main   []string            `json:"main_permissions"`
	Schema map[string][]string `json:"schema_permissions"`
}

// roleKeys are the members that add_role and alter_role know.
var roleKeys = []string{"operation", "role", "id", "permission", "hdb_user", "access"}

// checkRole validates a role. Permissions on databases are known to the upstream alone: without one there is no database that
// they could name, with one they are kept as they are.
func (h *Handler) checkRole(o *Operation, adding bool) *failure {
	var problems, unknown []string
	for _, m := range o.members {
		ignored := m.key == "bypass_auth" && value{m.raw}.truthy()
		if !ignored && !slices.Contains(roleKeys, m.key) {
			unknown = append(unknown, m.key)
		}
	}
	if len(unknown) > 0 {
		keys := "key"
		if len(unknown) > 1 {
			keys = "keys"
		}
		problems = append(problems, "Invalid "+keys+" in JSON body - '"+strings.Join(unknown, "', '")+"'")
	}
	problems = append(problems, checkWord("Role", o.get("role"), adding)...)
	problems = append(problems, checkWord("Id", o.get("id"), !adding)...)
	problems = append(problems, h.checkPermission(o.get("permission"))...)
	if len(problems) == 0 {
		return nil
	}
	return &failure{status: http.StatusBadRequest, body: roleProblems{
		Error: "Errors in the role permissions JSON provided", Main: problems, Schema: map[string][]string{},
	}}
}

func (h *Handler) checkPermission(permission value) []string {
	if permission.nullish() {
		return []string{"Permission can't be blank"}
	}
	_, members, err := scan(permission.raw)
	// json.Valid has a bound on nesting of its own, which the answers that repeat the permission must not meet.
	if permission.kind() != object || err != nil || !json.Valid(permission.raw) {
		return []string{"Permission must be an object"}
	}
	var problems, databases []string
	for _, m := range members {
		v := value{m.raw}
		switch m.key {
		case "super_user":
			if v.kind() == boolean && v.bool() && len(members) > 1 {
				problems = append(problems, "Roles with 'super_user' set to true cannot have other permissions set.")
			}
			if v.truthy() && v.kind() != boolean {
				problems = append(problems, "Value for 'super_user' permission must be a boolean")
			}
		case "structure_user":
			databases = append(databases, h.checkStructureUser(v)...)
		case "system":
		default:
			databases = append(databases, h.checkDatabase(m.key)...)
		}
	}
	return append(problems, databases...)
}

// checkStructureUser validates the databases whose tables a role may change: all, none, or a list.
func (h *Handler) checkStructureUser(v value) (problems []string) {
	switch v.kind() {
	case boolean:
		return nil
	case array:
		var names []any
		if err := json.Unmarshal(v.raw, &names); err != nil {
			return []string{"Value for 'structure_user' permission must be a boolean or Array"}
		}
		for _, name := range names {
			problems = append(problems, h.checkDatabase(fmt.Sprint(name))...)
		}
		return problems
	}
	return []string{"Value for 'structure_user' permission must be a boolean or Array"}
}

func (h *Handler) checkDatabase(name string) []string {
	if h.forward != nil || name == "system" {
		return nil
	}
	return []string{"database '" + name + "' does not exist"}
}
