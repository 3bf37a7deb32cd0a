package authserver

import (
	"net/http/httptest"
	"testing"
)

// A request without an Origin header, as every client but a browser sends it, costs nothing more: no look at the store, which
// this server does not have, and no allocation.
func TestRequestsWithoutAnOriginCostNothing(t *testing.T) {
	s := &Server{}
	w, r := httptest.NewRecorder(), httptest.NewRequest("POST", "/oauth2/token", nil)
	w.Header().Set("Content-Type", "application/json")
	cost := testing.AllocsPerRun(1000, func() {
		w.Header()["Vary"] = nil
		s.allowOrigin(w, r, nil)
	})
	if cost != 0 || w.Header().Get("Vary") != "Origin" || len(w.Header()) != 2 {
		t.Errorf("%v allocations, headers %v", cost, w.Header())
	}
}

func BenchmarkRequestWithoutAnOrigin(b *testing.B) {
	s := &Server{}
	w, r := httptest.NewRecorder(), httptest.NewRequest("POST", "/oauth2/token", nil)
	b.ReportAllocs()
	for b.Loop() {
		w.Header()["Vary"] = nil
		s.allowOrigin(w, r, nil)
	}
}
