package harper_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/opgrant/opgrant/compat/harper"
)

// Rows as a server returns them.
const (
	userRows = `[{"username":"HDB_ADMIN","refresh_token":"AAAAAAAAAAAAAAAA0000000000000000000000000000000000000000000000000000000000000000","password":"x","active":true,"role":"super_user","hash_function":"sha256","__updatedtime__":1700000000000.5,"__createdtime__":1600000000000},{"role":"compat_role","username":"alice","password":"y","active":false,"hash_function":null,"refresh_token":null}]`
	roleRows = `[{"permission":{"super_user":false, "b":1},"role":"compat_role","id":"compat_role","__updatedtime__":1,"__createdtime__":1},{"permission":{"super_user":true},"role":"super_user","id":"super_user"}]`
)

func TestRead(t *testing.T) {
	for name, file := range map[string]string{
		"two tables in one object": `{"hdb_user":` + userRows + `,"hdb_role":` + roleRows + `}`,
		"all rows in one array":    strings.TrimSuffix(userRows, "]") + "," + strings.TrimPrefix(roleRows, "["),
	} {
		var e harper.Export
		if err := e.Read("file", strings.NewReader(file)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(e.Users) != 2 || len(e.Roles) != 2 {
			t.Fatalf("%s: %d users, %d roles", name, len(e.Users), len(e.Roles))
		}
		admin, alice := e.Users[0], e.Users[1]
		if admin.Function != "sha256" || admin.RefreshHash == nil || len(*admin.RefreshHash) != 80 || !admin.Active || admin.Created.Year() != 2020 {
			t.Errorf("%s: %+v", name, admin)
		}
		if alice.Function != "md5" || alice.Active || alice.RefreshHash == nil || *alice.RefreshHash != "" {
			t.Errorf("%s: %+v", name, alice)
		}
		if string(e.Roles[0].Permission) != `{"super_user":false, "b":1}` {
			t.Errorf("%s: the permission was changed: %s", name, e.Roles[0].Permission)
		}
	}
}

func TestReadRefusesOtherFiles(t *testing.T) {
	for name, file := range map[string]string{
		"a row of another table": `[{"name":"dog"}]`,
		"a string":               `"rows"`,
		"an object of strings":   `{"hdb_user":"rows"}`,
	} {
		if err := new(harper.Export).Read("file", strings.NewReader(file)); !errors.Is(err, harper.ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := new(harper.Export).Read("file", strings.NewReader(`{`)); err == nil {
		t.Error("accepted half of a file")
	}
}

func TestARowThatCannotBeReadCostsThatRow(t *testing.T) {
	const hash = `"password":"x"`
	for row, want := range map[string]string{
		`{"username":17,` + hash + `}`:                       "username: a number where a string is expected",
		`{"username":null,` + hash + `}`:                     "username: null where a string is expected",
		`{"username":"\ud800",` + hash + `}`:                 "username: not Unicode",
		`{"username":"b\u0000","role":[],` + hash + `}`:      "role: an array where a string is expected",
		`{"username":"b","role":{"role":"r"},"active":true}`: "a row of list_users, which has no password hash",
		`{"username":"b","active":"false",` + hash + `}`:     "active: a string where true or false is expected",
		`{"username":"b","password":1234567}`:                "password: a number where a string is expected",
		`{"username":"b","hash_function":true,` + hash + `}`: "hash_function: true or false where a string is expected",
		`{"username":"b","refresh_token":{},` + hash + `}`:   "refresh_token: an object where a string is expected",
		`{"password":"secret"}`:                              "neither a user nor a role: it has no username and no permission",
		`{"Username":"case counts","password":"secret"}`:     "neither a user nor a role: it has no username and no permission",
		`"row"`:                               "a string where an object is expected",
		`null`:                                "null where an object is expected",
		`{"permission":[],"role":"r"}`:        "permission: an array where an object is expected",
		`{"permission":null,"role":"r"}`:      "permission: null where an object is expected",
		`{"permission":{}}`:                   "neither id nor role names it",
		`{"permission":{},"id":7,"role":"r"}`: "id: a number where a string is expected",
	} {
		var e harper.Export
		if err := e.Read("file", strings.NewReader(`[{"username":"alice","password":"y"},`+row+`,{"permission":{},"id":"r","role":"r"}]`)); err != nil {
			t.Errorf("%s: %v", row, err)
			continue
		}
		if len(e.Users) != 1 || len(e.Roles) != 1 || len(e.Refused) != 1 {
			t.Errorf("%s: %+v", row, e)
			continue
		}
		if r := e.Refused[0]; r.Err.Error() != want || r.Row.String() != "file: row 2" {
			t.Errorf("%s: %s: %v, want %s", row, r.Row, r.Err, want)
		}
	}
}

func TestReadJudgesASource(t *testing.T) {
	listed := `{"username":"alice","active":true,"role":{"role":"r","id":"r","permission":{}}}`
	for name, row := range map[string]struct {
		file string
		want error
	}{
		"no rows":                        {`[]`, harper.ErrEmpty},
		"nothing":                        {``, harper.ErrEmpty},
		"an object without tables":       {`{}`, harper.ErrEmpty},
		"a table without rows":           {`{"hdb_user":[],"hdb_role":` + roleRows + `}`, harper.ErrEmpty},
		"null":                           {`null`, harper.ErrFormat},
		"the answer of list_users":       {`[` + listed + `]`, harper.ErrNoPasswords},
		"users without hashes":           {`[{"username":"alice"},{"username":"bob","password":null}]`, harper.ErrNoPasswords},
		"a refused operation":            {`{"error":"Must login"}`, harper.ErrFormat},
		"the answer of list_roles":       {roleRows, nil},
		"two answers, one after another": {userRows + "\n" + roleRows, nil},
		"one user without a password":    {strings.TrimSuffix(userRows, "]") + `,{"username":"bob"}]`, nil},
	} {
		if err := new(harper.Export).Read("file", strings.NewReader(row.file)); !errors.Is(err, row.want) {
			t.Errorf("%s: %v, want %v", name, err, row.want)
		}
	}
}

func TestTimesThatCannotBeAreNotKnown(t *testing.T) {
	for _, ms := range []string{`1e300`, `-1`, `0`, `"yesterday"`, `null`, `253402300800000`} {
		var e harper.Export
		if err := e.Read("file", strings.NewReader(`[{"username":"a","password":"x","__createdtime__":`+ms+`}]`)); err != nil || !e.Users[0].Created.IsZero() {
			t.Errorf("%s: %+v, %v", ms, e, err)
		}
	}
}

func TestFetch(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, password, _ := r.BasicAuth()
		if name != "HDB_ADMIN" || password != "password" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		var operation struct{ Operation, Schema, Table string }
		if err := json.NewDecoder(r.Body).Decode(&operation); err != nil || operation.Operation != "search_by_value" || operation.Schema != "system" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		rows := map[string]string{"hdb_user": userRows, "hdb_role": roleRows}[operation.Table]
		_, _ = w.Write([]byte(rows))
	}))
	defer server.Close()
	e, err := harper.Source{URL: server.URL, Username: "HDB_ADMIN", Password: "password"}.Fetch(t.Context())
	if err != nil || len(e.Users) != 2 || len(e.Roles) != 2 {
		t.Fatalf("%+v, %v", e, err)
	}
	_, err = harper.Source{URL: server.URL, Username: "alice", Password: "secret password"}.Fetch(t.Context())
	if err == nil || strings.Contains(err.Error(), "secret password") {
		t.Errorf("not a super user: %v", err)
	}
}

func TestFetchSaysWhatWasFound(t *testing.T) {
	const password = "a secret password"
	for name, c := range map[string]struct {
		status     int
		kind, body string
		want       string
	}{
		"wrong password":  {401, "", `{"error":"Login failed"}`, `hdb_role: the server refuses the name or the password of "admin": 401 "Login failed"`},
		"inactive":        {401, "", `{"error":"Cannot complete request: User is inactive"}`, `401 "Cannot complete request: User is inactive"`},
		"not a superuser": {403, "application/json", `{"error":"This operation is not authorized","unauthorized_access":[]}`, `"admin" is not a super user there: 403 "This operation`},
		"wrong path":      {404, "", "Not found\n", "not the URL of an operations API, which is / on port 9925 by default: the server answers 404 with a body without a content type"},
		"a website":       {200, "text/html; charset=utf-8", "<html>", "not the URL of an operations API, which is / on port 9925 by default: the server answers 200 with text/html"},
		"another API":     {200, "application/json", `{"hello":"there"}`, "200 with JSON that is not a list of rows"},
		"nothing":         {200, "application/json", "", "200 with an empty body"},
		"a proxy's 401":   {401, "text/html", "<html>", "the server answers 401 with text/html"},
		"an outage":       {502, "text/html", "<html>", "hdb_role: the server answers 502 with text/html"},
		"no such table":   {400, "application/json", `{"error":"unknown"}`, `the server answers 400 "unknown"`},
		"an echo":         {400, "application/json", `{"error":"no ` + password + `"}`, `the server answers 400 ""`},
		"a redirect":      {307, "text/html", "", "the server redirects to https://u:xxxxx@elsewhere.example/ (307)"},
		"no rows":         {200, "application/json", "[]", "hdb_role: harper: no rows"},
		"half an answer":  {200, "application/json", `[{"role":`, "200 with application/json"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Content-Type"] = nil
			if c.kind != "" {
				w.Header().Set("Content-Type", c.kind)
			}
			w.Header().Set("Location", "https://u:p@elsewhere.example/")
			w.WriteHeader(c.status)
			_, _ = w.Write([]byte(c.body))
		}))
		_, err := harper.Source{URL: server.URL, Username: "admin", Password: password}.Fetch(t.Context())
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), password) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
		server.Close()
	}
	for _, url := range []string{"ftp://host/", "http://user:" + password + "@host/", "http:///", "host:9925"} {
		if _, err := (harper.Source{URL: url}).Fetch(t.Context()); err == nil || strings.Contains(err.Error(), password) {
			t.Errorf("%v", err)
		}
	}
}
