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
