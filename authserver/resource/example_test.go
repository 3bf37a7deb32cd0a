package resource_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/opgrant/opgrant/authserver/resource"
)

// A service with a route for everybody who is logged in, and one that needs a scope. Old clients may use both.
func Example() {
	guard, err := resource.New(resource.Config{
		Issuer: "https://id.example.com",
		Legacy: true, LegacyScopes: []string{"things:read"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	mux.Handle("GET /me", guard.Require()(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, _ := resource.From(r.Context())
		fmt.Fprintln(w, "hello,", claims.Subject)
	})))
	mux.Handle("GET /things", guard.Require("things:read")(http.NotFoundHandler()))

	answer := httptest.NewRecorder()
	mux.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/me", nil))
	fmt.Println(answer.Code, answer.Header().Get("WWW-Authenticate"))
	// Output:
	// 401 Bearer realm="https://id.example.com"
}

// A handler is tested with claims of the test's choice.
func ExampleWith() {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, _ := resource.From(r.Context())
		fmt.Fprint(w, claims.Subject, " ", claims.HasScope("things:read"))
	})
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r = r.WithContext(resource.With(r.Context(), &resource.Claims{Subject: "alice", Scopes: []string{"things:read"}}))
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, r)
	fmt.Println(answer.Body)
	// Output:
	// alice true
}
