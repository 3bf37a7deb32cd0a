package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
	"github.com/rogpeppe/go-internal/testscript"
)

// startHarper starts a server that answers search_by_value as a HarperDB server was recorded to do it: harper VARIABLE FOLDER. The
// tables are the files hdb_user.json and hdb_role.json of the folder as they are at each request. Its super user is
// HDB_ADMIN:password, and alice:secret is a user.
func startHarper(ts *testscript.TestScript, _ bool, args []string) {
	folder := ts.MkAbs(args[1])
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Server", "HarperDB")
		name, password, _ := r.BasicAuth()
		answer := func(status int, kind, body string) {
			w.Header()["Content-Type"] = nil // unless it is set below, there is none
			if kind != "" {
				w.Header().Set("Content-Type", kind)
			}
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
		switch name + ":" + password {
		case "HDB_ADMIN:password", "alice:secret":
		default:
			answer(401, "", `{"error":"Login failed"}`)
			return
		}
		if r.URL.Path != "/" {
			answer(404, "", "Not found\n")
			return
		}
		var operation struct {
			Operation, Schema, Table string
			Attribute                string `json:"search_attribute"`
			Value                    string `json:"search_value"`
		}
		if err := json.NewDecoder(r.Body).Decode(&operation); err != nil || operation.Operation != "search_by_value" || operation.Schema != "system" || operation.Value != "*" {
			answer(400, "application/json", `{"error":"Operation not found"}`)
			return
		}
		if name != "HDB_ADMIN" {
			answer(403, "application/json", fmt.Sprintf(`{"error":"This operation is not authorized due to role restrictions and/or invalid database items",`+
				`"unauthorized_access":[{"schema":"system","table":%q,"required_table_permissions":["read"],"required_attribute_permissions":[]}],"invalid_schema_items":[]}`, operation.Table))
			return
		}
		rows, err := os.ReadFile(filepath.Join(folder, filepath.Base(operation.Table)+".json"))
		if err != nil {
			answer(403, "application/json", `{"error":"This operation is not authorized due to role restrictions and/or invalid database items"}`)
			return
		}
		answer(200, "application/json", string(rows))
	}))
	ts.Defer(server.Close)
	ts.Setenv(args[0], strings.TrimPrefix(server.URL, "http://"))
}

// dumpRedis writes every key with its content to a file.
func dumpRedis(ts *testscript.TestScript, rdb *redis.Client, file string) {
	ctx := context.Background()
	keys, err := rdb.Keys(ctx, "*").Result()
	ts.Check(err)
	slices.Sort(keys)
	var text strings.Builder
	for _, key := range keys {
		content, err := rdb.Dump(ctx, key).Result()
		ts.Check(err)
		fmt.Fprintf(&text, "%q %q\n", key, content)
	}
	ts.Check(os.WriteFile(ts.MkAbs(file), []byte(text.String()), 0o600))
}
