package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/opgrant/opgrant/authserver/resource"
)

func TestServesUntilItIsStopped(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out, in := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, []string{"--listen", "127.0.0.1:0", "--issuer", "http://127.0.0.1:1"}, in, io.Discard)
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	url := strings.TrimSuffix(strings.Fields(line)[2], ",")
	for _, row := range []struct {
		path, token string
		status      int
	}{
		{"/me", "", 401},
		{"/things", "", 401},
		{"/me", "nonsense", 401},
		{"/me", "eyJhbGciOiJSUzI1NiIsImtpZCI6IngifQ.e30.AAAA", 503}, // no server there
		{"/", "", 404},
	} {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+row.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if row.token != "" {
			req.Header.Set("Authorization", "Bearer "+row.token)
		}
		resp, err := (&http.Client{Timeout: 5 * time.Second}).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != row.status {
			t.Errorf("%s with %q: %d, want %d", row.path, row.token, resp.StatusCode, row.status)
		}
	}
	stop()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(30 * time.Second):
		t.Error("it does not end")
	}
}

func TestHandlersUseTheClaims(t *testing.T) {
	req, err := http.NewRequestWithContext(resource.With(t.Context(), &resource.Claims{Subject: "alice", Legacy: true}), http.MethodGet, "/me", nil)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	me(w, req)
	var body map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || body["subject"] != "alice" || body["legacy"] != true {
		t.Errorf("%s %v", w.Body, err)
	}
}
