package opgrant_test

import (
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant"
	"github.com/opgrant/opgrant/storage/throttle"
)

func TestAnOldServerInTroubleRefusesNobody(t *testing.T) {
	old := startOldServer(t)
	trouble := map[string]http.HandlerFunc{
		"hangs":        func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"hangs up":     func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"server error": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"bad gateway": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(502)
			_, _ = io.WriteString(w, "<h1>Bad</h1>")
		},
		"too many requests": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(429)
			_, _ = io.WriteString(w, `{"error":"Login failed"}`)
		},
		"redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/login", http.StatusFound) },
		"HTML":     func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<h1>Welcome</h1>") },
		"401 in HTML": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(401)
			_, _ = io.WriteString(w, "<h1>Unauthorized</h1>")
		},
		"garbage": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte{0xff, 0xfe, 0}) },
		"another user": func(w http.ResponseWriter, r *http.Request) {
			r.SetBasicAuth("old9", "old9pw")
			old.known.ServeHTTP(w, r)
		},
	}
	s, site := startMoving(t, old, func(c *opgrant.Config) {
		c.Operations.Upstream.Timeout = 250 * time.Millisecond
		c.Storage.Throttle = throttle.Limits{PerUserNetwork: 1, PerNetwork: 1, Window: time.Hour}
	})
	for name, reply := range trouble {
		old.answer(reply)
		for _, way := range waysIn {
			for _, password := range []string{"olgapw", "wrong"} {
				header, _ := way.wants(t, site, "olga", password, http.StatusServiceUnavailable)
				if header.Get("Retry-After") == "" {
					t.Errorf("%s, %s: no Retry-After", name, way.name)
				}
			}
		}
		waysIn[0].wants(t, site, "HDB_ADMIN", "password", http.StatusOK) // who is here needs no old server
	}
	if _, err := s.Store.Users.User(t.Context(), "olga"); !errors.Is(err, fosite.ErrNotFound) {
		t.Errorf("stored: %v", err)
	}
	old.answer(nil)
	waysIn[0].wants(t, site, "olga", "olgapw", http.StatusOK) // none of these counted as a failure
	old.Close()
	for _, way := range waysIn {
		way.wants(t, site, "old1", "old1pw", http.StatusServiceUnavailable)
	}
	waysIn[6].wants(t, site, "olga", "olgapw", http.StatusOK)
}
