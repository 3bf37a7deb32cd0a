package compat_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/opgrant/opgrant/compat"
)

// adminBasic is the Authorization header of the user that every directory has.
const adminBasic = "Basic SERCX0FETUlOOnBhc3N3b3Jk"

// send sends a JSON body. An empty authorization means no Authorization header.
func send(h http.Handler, authorization, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// post sends a JSON body without an Authorization header.
func post(h http.Handler, body string) *httptest.ResponseRecorder { return send(h, "", body) }

func TestBodies(t *testing.T) {
	const login = `"operation":"create_authentication_tokens"`
	tests := []struct {
		name, body, problem string // no problem: the body is accepted
	}{
		{"object with an operation", `{` + login + `}`, ""},
		{"white space, a byte order mark and an escaped key", "\ufeff \n{\"oper\\u0061tion\" :\t\"user_info\"} ", ""},
		{"numbers of every form", `{` + login + `,"n":[0,-0,1.5,-2e9,3E+2,4e-1,1e999]}`, ""},
		{"half of a surrogate pair", `{` + login + `,"username":"\ud800"}`, ""},
		{"equal keys in different objects", `{` + login + `,"a":{"x":1},"b":{"x":1},"c":[{"x":1},{"x":1}]}`, ""},
		{"key that differs in letter case", `{` + login + `,"Operation":"drop_user"}`, ""},
		{"constructor without prototype", `{` + login + `,"constructor":{"x":1}}`, ""},

		{"operation in another letter case", `{"Operation":"user_info"}`, "Request body must include an 'operation' property."},
		{"operation that is null", `{"operation":null}`, "Request body must include an 'operation' property."},
		{"key twice", `{` + login + `,` + login + `}`, "Duplicate property name in JSON at position 55"},
		{"key twice in an inner object", `{` + login + `,"a":[{"b":{"c":1,"c":1}}]}`, "Duplicate property name in JSON at position 64"},
		{"prototype", `{` + login + `,"a":{"__proto__":1}}`, "Object contains forbidden prototype property"},
		{"bytes that are not UTF-8", "{\"operation\":\"\xff\"}", "Request body size did not match Content-Length"},
		{"surrogate in UTF-8", "{\"operation\":\"\xed\xa0\x80\"}", "Request body size did not match Content-Length"},
		{"no body", "", "Body cannot be empty when content-type is set to 'application/json'"},
		{"half of an object", `{"operation":"a"`, "Unexpected end of JSON input"},
		{"unknown escape", `{"operation":"\x"}`, "Unexpected token in JSON at position 15"},
		{"two objects", `{"operation":"a"}{}`, "Unexpected token in JSON at position 17"},
		{"line break in a string", "{\"operation\":\"a\nb\"}", "Bad control character in string literal in JSON at position 15"},
		{"null", `null`, "Cannot read properties of null (reading 'operation')"},
		{"empty object", `{ }`, "Request body must include an 'operation' property."},
		{"empty array", `[ ]`, "Request body must include an 'operation' property."},
		{"list of operations", `[{"operation":"user_info"}]`, "Request body must include an 'operation' property."},
	}
	h := newDirectory(t).handler(t, nil)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := post(h, test.body)
			var answer struct{ Error, Message string }
			if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
				t.Fatal(err)
			}
			got := ""
			if w.Code == http.StatusBadRequest {
				got = cmp.Or(answer.Message, answer.Error)
			}
			if got != test.problem || w.Code != http.StatusBadRequest && w.Code != http.StatusUnauthorized {
				t.Fatalf("got %d %q, want %q", w.Code, got, test.problem)
			}
		})
	}
}

// TestHostileBodies sends bodies that would make a careless reader recurse too deeply or compare keys for too long.
// BenchmarkHostileBodies measures the time that they take.
func TestHostileBodies(t *testing.T) {
	h := newDirectory(t).handler(t, nil)
	for _, test := range hostileBodies() {
		t.Run(test.name, func(t *testing.T) {
			w := send(h, adminBasic, test.body)
			var body struct{ Error string }
			if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || w.Code != test.status || (body.Error == "") != (test.status == 200) {
				t.Errorf("got %d %s", w.Code, w.Body)
			}
			if w := post(h, test.body); w.Code != 413 {
				t.Errorf("without a caller: got %d %s", w.Code, w.Body)
			}
		})
	}
}

func BenchmarkHostileBodies(b *testing.B) {
	h := newDirectory(b).handler(b, nil)
	for _, test := range hostileBodies() {
		b.Run(test.name, func(b *testing.B) {
			for b.Loop() {
				send(h, adminBasic, test.body)
			}
		})
	}
}

type hostileBody struct {
	name, body string
	status     int
}

func hostileBodies() []hostileBody {
	open, end := `{"operation":"user_info","x":`, `}`
	var keys strings.Builder
	for i := range 80000 {
		fmt.Fprintf(&keys, `"k%d":1,`, i)
	}
	return []hostileBody{
		{"a million levels of arrays", open + strings.Repeat("[", 1e6) + strings.Repeat("]", 1e6) + end, 413},
		{"as many levels as fit", open + strings.Repeat("[", 5e5) + strings.Repeat("]", 5e5) + end, 400},
		{"a million levels that are never closed", open + strings.Repeat("[", 1e6), 400},
		{"many levels of objects", open + strings.Repeat(`{"a":`, 2e5), 400},
		{"string of 1 MiB", open + `"` + strings.Repeat("a", 1<<20) + `"` + end, 413},
		{"string of nearly 1 MiB", open + `"` + strings.Repeat("a", 1<<20-100) + `"` + end, 200},
		{"many keys, one of them twice", open + "{" + keys.String() + `"k33":1}` + end, 400},
		{"bytes that are not UTF-8, at the end", open + `"` + strings.Repeat("a", 1<<19) + "\xff" + `"` + end, 400},
	}
}

func TestListUsersHasTheTimesOfEachUser(t *testing.T) {
	d := newDirectory(t)
	d.users["HDB_ADMIN"].Created, d.users["HDB_ADMIN"].Updated = time.UnixMicro(1_790_000_000_123_400), time.UnixMilli(1_790_000_001_000)
	d.users["unknown"] = &account{User: compat.User{Name: "unknown", Role: "super_user"}}
	h := d.handler(t, nil)
	var list []map[string]any
	w := send(h, adminBasic, `{"operation":"list_users"}`)
	if err := json.Unmarshal(w.Body.Bytes(), &list); err != nil || len(list) != 2 {
		t.Fatalf("%v %s", err, w.Body)
	}
	if list[0]["__createdtime__"] != 1_790_000_000_123.4 || list[0]["__updatedtime__"] != 1_790_000_001_000.0 {
		t.Errorf("times: %v, %v", list[0]["__createdtime__"], list[0]["__updatedtime__"])
	}
	if _, ok := list[1]["__createdtime__"]; ok {
		t.Errorf("a time that is not known: %v", list[1])
	}
	var info map[string]any
	if err := json.Unmarshal(send(h, adminBasic, `{"operation":"user_info"}`).Body.Bytes(), &info); err != nil {
		t.Fatal(err)
	}
	if _, ok := info["__createdtime__"]; ok || info["role"] == nil {
		t.Errorf("user_info, recorded without: %v", info)
	}
}
