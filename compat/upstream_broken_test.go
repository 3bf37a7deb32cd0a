package compat_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/opgrant/opgrant/compat"
)

// An answer of the upstream that breaks off, and a client that leaves in the middle of one, end the connection: the caller has used
// the operations API all the same.
func TestAnAnswerThatBreaksOffIsReported(t *testing.T) {
	served := make(chan compat.OperationServed, 2)
	_, h := withUpstream(t, &fakeUpstream{reply: func(w http.ResponseWriter, _ *http.Request, _ string) bool {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, `{"dog":`)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}}, func(c *compat.Config) {
		c.OnOperation = func(_ context.Context, o compat.OperationServed) { o.UserAgent, o.Address = "", ""; served <- o }
	})
	ended := make(chan struct{}, 2)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { ended <- struct{}{} }()
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	for _, method := range []string{http.MethodPost, http.MethodGet} {
		path, operation := "/", "describe_all"
		if method == http.MethodGet {
			path, operation = "/api/openapi/rest", ""
		}
		req, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(`{"operation":"describe_all"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", adminBasic)
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			_, err = io.ReadAll(resp.Body)
			_ = resp.Body.Close()
		}
		if err == nil {
			t.Errorf("%s: the answer is whole", method)
		}
		<-ended
		select {
		case got := <-served:
			want := compat.OperationServed{Operation: operation, User: "HDB_ADMIN", Verified: true, Status: 200, Forwarded: true}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %s", method, diff)
			}
		default:
			t.Errorf("%s: not reported", method)
		}
	}
}
