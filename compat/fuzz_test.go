package compat_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opgrant/opgrant/compat"
)

// seedBodies are the bodies of all conversations and recorded exchanges.
func seedBodies(tb testing.TB) []string {
	tb.Helper()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		tb.Fatal(err)
	}
	var seeds []string
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		_, body, _ := strings.Cut(parseConversation(string(data)).request, "\n\n")
		seeds = append(seeds, body)
	}
	for _, c := range recorded(tb) {
		if c.Body != nil && len(*c.Body) < 1000 {
			seeds = append(seeds, *c.Body)
		}
	}
	return seeds
}

// FuzzOperation: whatever the body is, the client gets JSON and not a server error.
func FuzzOperation(f *testing.F) {
	for _, body := range seedBodies(f) {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		d := newDirectory(t)
		h := d.handler(t, func(c *compat.Config) {
			c.Token = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = w.Write([]byte(`{"access_token":"access","refresh_token":"refresh"}`))
			})
		})
		for _, authorization := range []string{"", adminBasic} {
			w := send(h, authorization, string(body))
			if !json.Valid(w.Body.Bytes()) || w.Code >= http.StatusInternalServerError {
				t.Fatalf("%q: %d %s", body, w.Code, w.Body)
			}
		}
	})
}

// FuzzTokenResponse: whatever the token endpoint answers, the client gets JSON, a success only with a token, and never the
// password that it has sent.
func FuzzTokenResponse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		_, body, _ := strings.Cut(parseConversation(string(data)).token, "\n\n")
		f.Add(200, body)
		f.Add(400, body)
	}
	const secret = "Tr0ub4dor&3"
	f.Fuzz(func(t *testing.T, status int, answer string) {
		if status < 200 || status > 599 || strings.Contains(answer, secret) {
			return
		}
		h, err := compat.New(compat.Config{Token: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(answer))
		})})
		if err != nil {
			t.Fatal(err)
		}
		w := post(h, `{"operation":"create_authentication_tokens","username":"alice","password":"`+secret+`"}`)
		var body map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
			t.Fatalf("%d %s: %v", w.Code, w.Body, err)
		}
		if token, _ := body["operation_token"].(string); (w.Code == 200) != (token != "") {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		if status >= 500 && w.Code != http.StatusServiceUnavailable {
			t.Fatalf("%d became %d", status, w.Code)
		}
		if strings.Contains(w.Body.String(), secret) {
			t.Fatalf("the password is in the answer: %s", w.Body)
		}
	})
}
