package server

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestPanicIsAnAnswerOf500(t *testing.T) {
	log, text := testLog(t)
	server := httptest.NewServer(observed(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		panic("the reason")
	}), newMetrics("https://host.example/auth"), log))
	defer server.Close()
	response, body := get(t, server.URL)
	if response.StatusCode != 500 || response.Header.Get("Content-Type") != "application/json" || !strings.HasPrefix(body, `{"error":"server_error"`) {
		t.Errorf("got %s %v %s", response.Status, response.Header, body)
	}
	if strings.Contains(body, "the reason") || !strings.Contains(text.String(), "the reason") {
		t.Errorf("the reason must be in the log and nowhere else: %s", text)
	}
}

func TestPanicAfterTheFirstByteCutsTheConnection(t *testing.T) {
	log, _ := testLog(t)
	server := httptest.NewServer(observed(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "10")
		_, _ = io.WriteString(w, "half")
		panic("too late")
	}), newMetrics("https://host.example/auth"), log))
	defer server.Close()
	response, err := http.Get(server.URL)
	if err == nil {
		defer response.Body.Close()
		_, err = io.ReadAll(response.Body)
	}
	if err == nil {
		t.Error("the client took an incomplete answer for a complete one")
	}
}
