package compat_test

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/opgrant/opgrant/compat"
)

// The rules behind the recorded exchanges, where they say more than these.
func TestRules(t *testing.T) {
	basic := func(credentials string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(credentials))
	}
	const (
		bad  = `{"error":"Login failed"}`
		must = `{"error":"Must login"}`
	)
	tests := []struct {
		name, authorization, body string
		status                    int
		answer                    string
	}{
		{"Basic: characters that are none", "Basic !!!!", `{"operation":"user_info"}`, 401, `{"error":"Invalid character"}`},
		{"Basic: one character too many", "Basic YWJjZ", `{"operation":"user_info"}`, 401, `{"error":"The string to be decoded is not correctly encoded."}`},
		{"Basic: without padding, with white space", "Basic SERCX0FETUlOOn Bhc3N3b3Jk", `{"operation":"describe_all"}`, 200, `{}`},
		{"Basic: two spaces", "Basic  SERCX0FETUlOOnBhc3N3b3Jk", `{"operation":"describe_all"}`, 200, `{}`},
		{"Basic: all after the first colon is the password", basic("colin:a:b"), `{"operation":"describe_all"}`, 200, `{}`},
		{"Basic: bytes are characters", basic("ren\xe9:pw"), `{"operation":"describe_all"}`, 200, `{}`},
		{"Basic: and UTF-8 is not what it looks like", basic("rené:pw"), `{"operation":"describe_all"}`, 401, bad},
		{"Basic: no password", basic("HDB_ADMIN:"), `{"operation":"describe_all"}`, 401, bad},
		{"Bearer: nothing behind it", "Bearer", `{"operation":"describe_all"}`, 401, `{"error":"invalid token"}`},
		{"a user name in the body that is a number", "", `{"operation":"describe_all","username":5,"password":"x"}`, 200, `{}`},
		{"a user name in the body that is a list", "", `{"operation":"describe_all","username":[5],"password":"x"}`, 401, bad},
		{"a user name in the body alone", "", `{"operation":"describe_all","username":"colin"}`, 401, must},

		{"create: a life that is no number of seconds waits for the password", "", `{"operation":"create_authentication_tokens","username":"colin","password":"wrong","expires_in":"x"}`, 401, `{"error":"invalid credentials"}`},
		{"create: a life beyond all numbers", "", `{"operation":"create_authentication_tokens","username":"colin","password":"a:b","expires_in":1e999}`, 400, `{"error":"'expires_in' cannot be infinity"}`},
		{"create: a life that JavaScript cannot count", "", `{"operation":"create_authentication_tokens","username":"colin","password":"a:b","expires_in":9007199254740993}`, 400, `{"error":"'expires_in' must be a safe number"}`},
		{"create: an empty name with a header that says who", adminBasic, `{"operation":"create_authentication_tokens","username":""}`, 400, `{"error":"'username' is not allowed to be empty"}`},
		{"create: an empty role", "", `{"operation":"create_authentication_tokens","username":"colin","password":"a:b","role":""}`, 400, `{"error":"'role' is not allowed to be empty"}`},
		{"refresh: an empty token alone", "", `{"operation":"refresh_operation_token","refresh_token":""}`, 400, `{"error":"'refresh_token' is not allowed to be empty"}`},
		{"refresh: no token and nobody", "", `{"operation":"refresh_operation_token"}`, 401, must},
		{"refresh: wrong credentials beside a token", "", `{"operation":"refresh_operation_token","refresh_token":"x","username":"colin","password":"x"}`, 401, bad},
		{"refresh: a token that is none", adminBasic, `{"operation":"refresh_operation_token","refresh_token":"x"}`, 401, `{"error":"invalid token"}`},

		{"add_user: everything is missing", adminBasic, `{"operation":"add_user"}`, 400, `{"error":"Username can't be blank,Password can't be blank,Role can't be blank,Active can't be blank"}`},
		{"add_user: a name that is kept back, a role that is none", adminBasic, `{"operation":"add_user","username":"system","password":"x","role":"a b","active":1}`, 400, `{"error":"Username You cannot create tables within the system schema,Role is invalid,Active must be a boolean"}`},
		{"add_user: a role that is not there", adminBasic, `{"operation":"add_user","username":"u","password":"x","role":"nope","active":true}`, 404, `{"error":"nope role not found"}`},
		{"add_user: a user who is there", adminBasic, `{"operation":"add_user","username":"colin","password":"x","role":"staff","active":true}`, 409, `{"error":"User colin already exists"}`},
		{"add_user: a role by its name", adminBasic, `{"operation":"add_user","username":"u","password":"x","role":"crew","active":true}`, 200, `{"message":"u successfully added"}`},
		{"alter_user: nobody", adminBasic, `{"operation":"alter_user","active":true}`, 400, `{"error":"username is required"}`},
		{"alter_user: a password of spaces", adminBasic, `{"operation":"alter_user","username":"colin","password":"  "}`, 400, `{"error":"password cannot be an empty string"}`},
		{"alter_user: a number for a name", adminBasic, `{"operation":"alter_user","username":5,"active":true}`, 200, `{"message":"updated 1 of 1 records","txn_time":0,"update_hashes":[5],"skipped_hashes":[]}`},
		{"alter_user: a number for a role", adminBasic, `{"operation":"alter_user","username":"colin","role":7}`, 404, `{"error":"Update failed.  Requested '7' role not found."}`},
		{"drop_user: a list", adminBasic, `{"operation":"drop_user","username":["colin"]}`, 400, `{"error":"Username is invalid"}`},
		{"add_role: members that it does not know", adminBasic, `{"operation":"add_role","role":"r","permission":{},"a":1,"b":2,"bypass_auth":true}`, 400, roleErrors(`"Invalid keys in JSON body - 'a', 'b'"`)},
		{"add_role: everything is wrong", adminBasic, `{"operation":"add_role","role":"a/b","id":5,"permission":null}`, 400, roleErrors(`"Role is invalid","Id is invalid","Permission can't be blank"`)},
		{"add_role: databases that are not there", adminBasic, `{"operation":"add_role","role":"r","permission":{"structure_user":["dog"],"cluster_user":true}}`, 400, roleErrors(`"database 'dog' does not exist","database 'cluster_user' does not exist"`)},
		{"add_role: a structure that is none", adminBasic, `{"operation":"add_role","role":"r","permission":{"structure_user":"all"}}`, 400, roleErrors(`"Value for 'structure_user' permission must be a boolean or Array"`)},
		{"add_role: a permission that is none", adminBasic, `{"operation":"add_role","role":"r","permission":[]}`, 400, roleErrors(`"Permission must be an object"`)},
		{"add_role: a permission too deep to repeat", adminBasic, `{"operation":"add_role","role":"r","permission":{"structure_user":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}}`, 400, roleErrors(`"Permission must be an object"`)},
		{"drop_role: no id", adminBasic, `{"operation":"drop_role","role":"a/b"}`, 400, `{"statusCode":400,"error":"Bad Request","message":"Role is invalid,Id can't be blank"}`},
		{"drop_role: of an active user", adminBasic, `{"operation":"drop_role","id":"staff"}`, 409, `{"error":"Cannot drop role staff as it has active user(s) tied to this role"}`},
		{"no super user", basic("colin:a:b"), `{"operation":"list_roles"}`, 403, `{"error":"This operation is not authorized due to role restrictions and/or invalid database items","unauthorized_access":["Operation 'listRoles' is restricted to 'super_user' roles"],"invalid_schema_items":[]}`},
		{"no role", basic("nora:pw"), `{"operation":"user_info"}`, 403, `{"error":"This operation is not authorized due to role restrictions and/or invalid database items","unauthorized_access":["User nora has no role or permissions.  Please assign the user a valid role."],"invalid_schema_items":[]}`},
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

func TestLifetimes(t *testing.T) {
	tests := map[string]string{ // :: expires_in → seconds, or nothing where it is refused
		`60`: "60", `-5`: "-5", `1e3`: "1000", `1.0`: "1", `1.5`: "",
		`"60"`: "0", `"5000"`: "5", `"-1"`: "-1", `"999ms"`: "0", `"2 days"`: "172800", `"1.5h"`: "5400", `".5m"`: "30", `"1Y"`: "31557600",
		`"2 WEEKS"`: "1209600", `"3 mins"`: "180", `"1 milliseconds"`: "0", `"10 secs"`: "10", `"1 hr"`: "3600", `"1  h"`: "3600",
		`"1 month"`: "", `"1h 30m"`: "", `" 1h"`: "", `"h"`: "", `"5."`: "", `"` + strings.Repeat("9", 101) + `"`: "", `"99999999999999999999y"`: "",
	}
	for given, want := range tests {
		var sent string
		h, err := compat.New(compat.Config{Token: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			sent = r.PostFormValue("expires_in")
			_, _ = w.Write([]byte(`{"access_token":"x"}`))
		})})
		if err != nil {
			t.Fatal(err)
		}
		w := post(h, `{"operation":"create_authentication_tokens","username":"a","password":"b","expires_in":`+given+`}`)
		if sent != want || (w.Code == 200) != (want != "") {
			t.Errorf("%s: sent %q, want %q, %d %s", given, sent, want, w.Code, w.Body)
		}
	}
}

func TestContentTypes(t *testing.T) {
	tests := map[string]int{ // :: Content-Type → status
		"application/json": 401, "application/json;charset=utf-8": 401, `application/json; charset="utf-8"; a=b`: 401, "Application/JSON-patch+json": 401,
		"application/json;": 415, "application/json; a": 415, "application": 415, "application/json,application/json": 415, "text/json": 415,
		"multipart/form-data; boundary=x": 415, "application/cbor": 415, "text/plain": 400, "": 415,
	}
	h := newDirectory(t).handler(t, nil)
	for contentType, want := range tests {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(`{"operation":"user_info"}`))
		r.Header["Content-Type"] = []string{contentType}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%q: %d %s, want %d", contentType, w.Code, w.Body, want)
		}
	}
}

func TestAcceptedAnswers(t *testing.T) {
	tests := map[string]bool{ // :: Accept → whether there is an answer
		"application/json": true, "text/html, */*;q=0.1": true, "TEXT/CSV": true, "application/json; q=0.5": true, "image/png,": true,
		"text/html": false, "application/*": false, "*": false, "application/json;q=0": false, "application/json;q=x": false,
	}
	h := newDirectory(t).handler(t, nil)
	for accept, want := range tests {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(`{"operation":"user_info"}`))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if got := w.Code != http.StatusNotAcceptable; got != want {
			t.Errorf("%q: %d", accept, w.Code)
		}
	}
}
