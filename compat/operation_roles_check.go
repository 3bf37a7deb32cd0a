package compat

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/opgrant/opgrant/compat/internal/strictjson"
)

// namePattern is what role names and role ids have to match.
var namePattern = regexp.MustCompile(`^[0-9A-Za-z_-]+$`)

// checkName validates a role name or id.
func checkName(label string, v jsValue, required bool) []string {
	switch {
	case v.nullish() && required:
		return []string{label + " can't be blank"}
	case v.nullish(), v.Kind() == strictjson.String && namePattern.MatchString(v.Text()):
		return nil
	}
	return []string{label + " is invalid"}
}

// roleErrorBody is the recorded shape of a refused role.
type roleErrorBody struct {
	Error  string              `json:"error"`
	Main   []string            `json:"main_permissions"`
	Schema map[string][]string `json:"schema_permissions"`
}

// roleKeys are the members that add_role and alter_role know.
var roleKeys = []string{"operation", "role", "id", "permission", "hdb_user", "access"}

// checkRole validates the members of add_role and alter_role.
func (h *Handler) checkRole(o *operation, adding bool) error {
	var problems, unknown []string
	for _, m := range o.members {
		ignored := m.Key == "bypass_auth" && jsValue{m.Value}.truthy()
		if !ignored && !slices.Contains(roleKeys, m.Key) {
			unknown = append(unknown, m.Key)
		}
	}
	if len(unknown) > 0 {
		keys := "key"
		if len(unknown) > 1 {
			keys = "keys"
		}
		problems = append(problems, "Invalid "+keys+" in JSON body - '"+strings.Join(unknown, "', '")+"'")
	}
	problems = append(problems, checkName("Role", o.get("role"), adding)...)
	problems = append(problems, checkName("Id", o.get("id"), !adding)...)
	problems = append(problems, h.checkPermission(o.get("permission"))...)
	if len(problems) == 0 {
		return nil
	}
	return &apiError{status: http.StatusBadRequest, body: roleErrorBody{
		Error: "Errors in the role permissions JSON provided", Main: problems, Schema: map[string][]string{},
	}}
}

func (h *Handler) checkPermission(permission jsValue) []string {
	if permission.nullish() {
		return []string{"Permission can't be blank"}
	}
	_, members, err := strictjson.Parse(permission.Raw)
	// encoding/json, which writes the permission back in answers, accepts fewer levels than strictjson.
	if permission.Kind() != strictjson.Object || err != nil || !json.Valid(permission.Raw) {
		return []string{"Permission must be an object"}
	}
	var problems, databases []string
	for _, m := range members {
		v := jsValue{m.Value}
		switch m.Key {
		case "super_user":
			if v.Bool() && len(members) > 1 {
				problems = append(problems, "Roles with 'super_user' set to true cannot have other permissions set.")
			}
			if v.truthy() && v.Kind() != strictjson.Boolean {
				problems = append(problems, "Value for 'super_user' permission must be a boolean")
			}
		case "structure_user":
			databases = append(databases, h.checkStructureUser(v)...)
		case "system":
		default:
			databases = append(databases, h.checkDatabase(m.Key)...)
		}
	}
	return append(problems, databases...)
}

// checkStructureUser validates the databases whose structure a role may change: a boolean, or a list of names.
func (h *Handler) checkStructureUser(v jsValue) (problems []string) {
	var names []any
	switch {
	case v.Kind() == strictjson.Boolean:
		return nil
	case v.Kind() != strictjson.Array, json.Unmarshal(v.Raw, &names) != nil:
		return []string{"Value for 'structure_user' permission must be a boolean or Array"}
	}
	for _, name := range names {
		problems = append(problems, h.checkDatabase(fmt.Sprint(name))...)
	}
	return problems
}

// checkDatabase validates the name of a database. Only the upstream knows which there are: with one, every name is accepted;
// without one, none.
func (h *Handler) checkDatabase(name string) []string {
	if h.upstream != nil || name == "system" {
		return nil
	}
	return []string{"database '" + name + "' does not exist"}
}
