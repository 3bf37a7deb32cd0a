package server

import (
	"fmt"
	"io"
)

// welcome prints requests that can be pasted into a terminal.
func welcome(w io.Writer, address string) {
	fmt.Fprintf(w, `
opgrant is running: two APIs for the same users.

  The operations API: JSON on POST /

    curl -s http://%[1]s/ -H 'Content-Type: application/json' \
      -d '{"operation":"create_authentication_tokens","username":"HDB_ADMIN","password":"password"}'

    curl -s http://%[1]s/ -H 'Content-Type: application/json' \
      -d '{"operation":"refresh_operation_token","refresh_token":"EXISTING_REFRESH_TOKEN"}'

  The OAuth endpoints:

    curl -s http://%[1]s/oauth2/token -u demo:demo-secret \
      -d grant_type=password -d username=HDB_ADMIN -d password=password

    curl -s http://%[1]s/oauth2/token -u demo:demo-secret \
      -d grant_type=refresh_token -d refresh_token=EXISTING_REFRESH_TOKEN

    curl -s http://%[1]s/oauth2/introspect -u demo:demo-secret -d token=ACCESS_TOKEN

DEVELOPMENT SERVER: THE STATE IS LOST ON EXIT, AND THE PASSWORDS ARE PUBLIC.

`, address)
}
