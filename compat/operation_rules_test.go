package compat_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/opgrant/opgrant/compat"
)

// TestRules covers what the recorded exchanges do not.
func TestRules(t *testing.T) {
	basic := func(credentials string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(credentials))
	}
	const (
		loginFailed = `{"error":"Login failed"}`
		mustLogin   = `{"error":"Must login"}`
	)
	tests := []struct {
		name, authorization, body string
		status                    int
		answer                    string
	}{
		{"Basic: invalid characters", "Basic !!!!", `{"operation":"user_info"}`, 401, `{"error":"Invalid character"}`},
		{"Basic: one character too many", "Basic YWJjZ", `{"operation":"user_info"}`, 401, `{"error":"The string to be decoded is not correctly encoded."}`},
		{"Basic: without padding, with white space", "Basic SERCX0FETUlOOn Bhc3N3b3Jk", `{"operation":"describe_all"}`, 200, `{}`},
		{"Basic: two spaces", "Basic  SERCX0FETUlOOnBhc3N3b3Jk", `{"operation":"describe_all"}`, 200, `{}`},
		{"Basic: a colon in the password", basic("colin:a:b"), `{"operation":"describe_all"}`, 200, `{}`},
		{"Basic: a name in Latin-1", basic("ren\xe9:pw"), `{"operation":"describe_all"}`, 200, `{}`},
		{"Basic: a name in UTF-8", basic("rené:pw"), `{"operation":"describe_all"}`, 401, loginFailed},
		{"Basic: empty password", basic("HDB_ADMIN:"), `{"operation":"describe_all"}`, 401, loginFailed},
		{"Bearer without a token", "Bearer", `{"operation":"describe_all"}`, 401, `{"error":"invalid token"}`},
		{"body: user name is a number", "", `{"operation":"describe_all","username":5,"password":"x"}`, 200, `{}`},
		{"body: user name is a list", "", `{"operation":"describe_all","username":[5],"password":"x"}`, 401, loginFailed},
		{"body: user name without password", "", `{"operation":"describe_all","username":"colin"}`, 401, mustLogin},

		{"create: invalid expires_in and a wrong password", "", `{"operation":"create_authentication_tokens","username":"colin","password":"wrong","expires_in":"x"}`, 401, `{"error":"invalid credentials"}`},
		{"create: infinite expires_in", "", `{"operation":"create_authentication_tokens","username":"colin","password":"a:b","expires_in":1e999}`, 400, `{"error":"'expires_in' cannot be infinity"}`},
		{"create: expires_in beyond the safe integers of JavaScript", "", `{"operation":"create_authentication_tokens","username":"colin","password":"a:b","expires_in":9007199254740993}`, 400, `{"error":"'expires_in' must be a safe number"}`},
		{"create: empty name and a caller in the header", adminBasic, `{"operation":"create_authentication_tokens","username":""}`, 400, `{"error":"'username' is not allowed to be empty"}`},
		{"create: empty role", "", `{"operation":"create_authentication_tokens","username":"colin","password":"a:b","role":""}`, 400, `{"error":"'role' is not allowed to be empty"}`},
		{"refresh: empty token", "", `{"operation":"refresh_operation_token","refresh_token":""}`, 400, `{"error":"'refresh_token' is not allowed to be empty"}`},
		{"refresh: no token and no caller", "", `{"operation":"refresh_operation_token"}`, 401, mustLogin},
		{"refresh: wrong password beside a token", "", `{"operation":"refresh_operation_token","refresh_token":"x","username":"colin","password":"x"}`, 401, loginFailed},
		{"refresh: invalid token", adminBasic, `{"operation":"refresh_operation_token","refresh_token":"x"}`, 401, `{"error":"invalid token"}`},

		{"add_user: no members", adminBasic, `{"operation":"add_user"}`, 400, `{"error":"Username can't be blank,Password can't be blank,Role can't be blank,Active can't be blank"}`},
		{"add_user: reserved name, invalid role and active", adminBasic, `{"operation":"add_user","username":"system","password":"x","role":"a b","active":1}`, 400, `{"error":"Username You cannot create tables within the system schema,Role is invalid,Active must be a boolean"}`},
		{"add_user: unknown role", adminBasic, `{"operation":"add_user","username":"u","password":"x","role":"nope","active":true}`, 404, `{"error":"nope role not found"}`},
		{"add_user: existing user", adminBasic, `{"operation":"add_user","username":"colin","password":"x","role":"staff","active":true}`, 409, `{"error":"User colin already exists"}`},
		{"add_user: role by its name", adminBasic, `{"operation":"add_user","username":"u","password":"x","role":"crew","active":true}`, 200, `{"message":"u successfully added"}`},
		{"alter_user: no name", adminBasic, `{"operation":"alter_user","active":true}`, 400, `{"error":"username is required"}`},
		{"alter_user: password of spaces", adminBasic, `{"operation":"alter_user","username":"colin","password":"  "}`, 400, `{"error":"password cannot be an empty string"}`},
		{"alter_user: name is a number", adminBasic, `{"operation":"alter_user","username":5,"active":true}`, 200, `{"message":"updated 1 of 1 records","txn_time":0,"update_hashes":[5],"skipped_hashes":[]}`},
		{"alter_user: role is a number", adminBasic, `{"operation":"alter_user","username":"colin","role":7}`, 404, `{"error":"Update failed.  Requested '7' role not found."}`},
		{"drop_user: name is a list", adminBasic, `{"operation":"drop_user","username":["colin"]}`, 400, `{"error":"Username is invalid"}`},
		{"add_role: unknown members", adminBasic, `{"operation":"add_role","role":"r","permission":{},"a":1,"b":2,"bypass_auth":true}`, 400, roleErrors(`"Invalid keys in JSON body - 'a', 'b'"`)},
		{"add_role: invalid role, id and permission", adminBasic, `{"operation":"add_role","role":"a/b","id":5,"permission":null}`, 400, roleErrors(`"Role is invalid","Id is invalid","Permission can't be blank"`)},
		{"add_role: unknown databases", adminBasic, `{"operation":"add_role","role":"r","permission":{"structure_user":["dog"],"cluster_user":true}}`, 400, roleErrors(`"database 'dog' does not exist","database 'cluster_user' does not exist"`)},
		{"add_role: invalid structure_user", adminBasic, `{"operation":"add_role","role":"r","permission":{"structure_user":"all"}}`, 400, roleErrors(`"Value for 'structure_user' permission must be a boolean or Array"`)},
		{"add_role: permission is a list", adminBasic, `{"operation":"add_role","role":"r","permission":[]}`, 400, roleErrors(`"Permission must be an object"`)},
		{"add_role: permission with too many levels", adminBasic, `{"operation":"add_role","role":"r","permission":{"structure_user":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}}`, 400, roleErrors(`"Permission must be an object"`)},
		{"drop_role: no id, invalid role", adminBasic, `{"operation":"drop_role","role":"a/b"}`, 400, `{"statusCode":400,"error":"Bad Request","message":"Role is invalid,Id can't be blank"}`},
		{"drop_role: role of an active user", adminBasic, `{"operation":"drop_role","id":"staff"}`, 409, `{"error":"Cannot drop role staff as it has active user(s) tied to this role"}`},
		{"caller is not a super user", basic("colin:a:b"), `{"operation":"list_roles"}`, 403, `{"error":"This operation is not authorized due to role restrictions and/or invalid database items","unauthorized_access":["Operation 'listRoles' is restricted to 'super_user' roles"],"invalid_schema_items":[]}`},
		{"caller has no role", basic("nora:pw"), `{"operation":"user_info"}`, 403, `{"error":"This operation is not authorized due to role restrictions and/or invalid database items","unauthorized_access":["User nora has no role or permissions.  Please assign the user a valid role."],"invalid_schema_items":[]}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := newDirectory(t)
			_, _ = d.AddRole(t.Context(), compat.Role{ID: "staff", Name: "staff", Permission: []byte(`{"super_user":false}`)})
			_, _ = d.AddRole(t.Context(), compat.Role{ID: "other", Name: "crew", Permission: []byte(`{}`)})
			for name, password := range map[string]string{"colin": "a:b", "rené": "pw", "5": "x"} {
				_ = d.AddUser(t.Context(), compat.User{Name: name, Role: "staff", Active: true}, password)
			}
			_ = d.AddUser(t.Context(), compat.User{Name: "nora", Role: "gone", Active: true}, "pw")
			w := send(d.handler(t, nil), test.authorization, test.body)
			if diff := cmp.Diff(test.answer, w.Body.String()); diff != "" || w.Code != test.status {
				t.Errorf("got %d, want %d (-want +got):\n%s", w.Code, test.status, diff)
			}
		})
	}
}

func roleErrors(problems string) string {
	return `{"error":"Errors in the role permissions JSON provided","main_permissions":[` + problems + `],"schema_permissions":{}}`
}
