package compat_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/opgrant/opgrant/compat"
)

// A Handler in front of a token endpoint that knows one user.
func Example() {
	endpoint := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.PostFormValue("grant_type") == "password" && r.PostFormValue("password") != "alicepw" {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"error":"invalid_grant"}`))
			return
		}
		_, _ = w.Write([]byte(`{"access_token":"access","refresh_token":"refresh","token_type":"bearer"}`))
	})
	handler, err := compat.New(compat.Config{Token: endpoint, ClientID: "old-clients"})
	if err != nil {
		panic(err)
	}
	server := httptest.NewServer(handler)
	defer server.Close()

	for _, operation := range []string{
		`{"operation":"create_authentication_tokens","username":"alice","password":"alicepw"}`,
		`{"operation":"create_authentication_tokens","username":"alice","password":"guess"}`,
		`{"operation":"refresh_operation_token","refresh_token":"refresh"}`,
	} {
		resp, err := server.Client().Post(server.URL, "application/json", strings.NewReader(operation))
		if err != nil {
			panic(err)
		}
		var answer strings.Builder
		_ = resp.Write(&answer)
		_ = resp.Body.Close()
		_, body, _ := strings.Cut(answer.String(), "\r\n\r\n")
		fmt.Println(resp.StatusCode, body)
	}
	// Output:
	// 200 {"operation_token":"access","refresh_token":"refresh"}
	// 401 {"error":"invalid credentials"}
	// 200 {"operation_token":"access"}
}
