package authserver_test

import (
	"net/http"
	"testing"
)

// simple-oauth2 parses every answer as JSON, this one too, although RFC 7009 section 2.2 has clients ignore its body.
func TestRevocationAnswersJSON(t *testing.T) {
	w := onFake(t)
	r := w.post("/oauth2/revoke", "web", "token", w.login("web").text("access_token"))
	if r.status != http.StatusOK || r.raw != "{}" || r.header.Get("Content-Type") != "application/json" || r.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d %q %v", r.status, r.raw, r.header)
	}
}
