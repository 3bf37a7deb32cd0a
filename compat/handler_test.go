package compat_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/opgrant/opgrant/compat"
)

func TestNewReportsEveryProblem(t *testing.T) {
	d := newDirectory(t)
	_, err := compat.New(compat.Config{Users: d, Upstream: &compat.Upstream{URL: "old.example"}})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"Token", "Roles", "Users needs", "Upstream needs", `"old.example" is not a URL`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in %q", want, err)
		}
	}
	if _, err := compat.New(compat.Config{Token: d}); err != nil {
		t.Error("a token endpoint alone is refused: ", err)
	}
}

func TestDeprecationHeaders(t *testing.T) {
	h := newDirectory(t).handler(t, func(c *compat.Config) {
		c.Deprecation = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
		c.Sunset = time.Date(2027, 6, 30, 12, 0, 0, 0, time.FixedZone("", 3600))
		c.Notice = "https://example.org/move"
	})
	want := map[string]string{
		"Deprecation": "@1798761600",
		"Sunset":      "Wed, 30 Jun 2027 11:00:00 GMT",
		"Link":        `<https://example.org/move>; rel="deprecation"; type="text/html"`,
	}
	for name, w := range map[string]*httptest.ResponseRecorder{
		"an answer":        send(h, adminBasic, `{"operation":"user_info"}`),
		"an error":         send(h, "", `{"operation":"user_info"}`),
		"a refused header": send(h, "Basic YTpi", `{"operation":"user_info"}`),
		"not JSON":         send(h, "", `hello`),
	} {
		for header, value := range want {
			if got := w.Header().Get(header); got != value {
				t.Errorf("%s: %s is %q, want %q", name, header, got, value)
			}
		}
	}
	if got := send(newDirectory(t).handler(t, nil), "", `{}`).Header().Get("Deprecation"); got != "" {
		t.Errorf("announced %q by default", got)
	}
}

func TestWrongMethodHasAllowHeader(t *testing.T) {
	w := httptest.NewRecorder()
	newDirectory(t).handler(t, nil).ServeHTTP(w, httptest.NewRequest(http.MethodPut, "/", nil))
	if w.Code != 404 || w.Header().Get("Allow") != "POST, OPTIONS" {
		t.Errorf("got %d, Allow %q", w.Code, w.Header().Get("Allow"))
	}
}

func TestHeaderTooLarge(t *testing.T) {
	w := send(newDirectory(t).handler(t, nil), "Bearer "+strings.Repeat("a", 20000), `{"operation":"user_info"}`)
	if w.Code != 431 || w.Body.Len() != 0 {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}
