package compat_test

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/opgrant/opgrant/compat"
)

func TestShadow(t *testing.T) {
	create := `{"operation":"create_authentication_tokens","username":"HDB_ADMIN","password":"password"}`
	agree := func(w http.ResponseWriter, _ *http.Request, _ string) bool {
		_, _ = io.WriteString(w, `{"operation_token":"theirs","refresh_token":"theirs"}`)
		return true
	}
	tests := []struct {
		name, body string
		reply      func(http.ResponseWriter, *http.Request, string) bool
		want       compat.ShadowResult
		logged     string
	}{
		{"same status and shape", create, agree, compat.ShadowResult{Outcome: "same", Status: 200, UpstreamStatus: 200}, ""},
		{
			"another status", create, nil,
			compat.ShadowResult{Outcome: "differs", Status: 200, UpstreamStatus: 401},
			`status=200 upstream_status=401 shape={operation_token:string,refresh_token:string} upstream_shape={error:string}`,
		},
		{"another shape", create, func(w http.ResponseWriter, _ *http.Request, _ string) bool {
			_, _ = io.WriteString(w, `{"operation_token":"theirs","`+strings.Repeat("secret", 20)+`":1}`)
			return true
		}, compat.ShadowResult{Outcome: "differs", Status: 200, UpstreamStatus: 200}, `upstream_shape={?:number,operation_token:string}`},
		{"no answer", create, neverAnswer, compat.ShadowResult{Outcome: "failed", Status: 200}, "did not answer"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			outcomes := make(chan compat.ShadowResult, 1)
			var logs lockedBuffer
			_, h := withUpstream(t, &fakeUpstream{reply: test.reply}, func(c *compat.Config) {
				c.Upstream.Shadow, c.Upstream.OnShadow = true, func(s compat.ShadowResult) { outcomes <- s }
				if test.want.Outcome == "failed" {
					c.Upstream.Timeout = 50 * time.Millisecond
				}
				c.Log = slog.New(slog.NewTextHandler(&logs, nil))
			})
			if w := send(h, adminBasic, test.body); w.Code != 200 {
				t.Fatalf("got %d %s", w.Code, w.Body)
			}
			test.want.Operation = "create_authentication_tokens"
			select {
			case got := <-outcomes:
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Errorf("outcome (-want +got):\n%s", diff)
				}
			case <-time.After(10 * time.Second):
				t.Fatal("no outcome")
			}
			if text := logs.String(); !strings.Contains(strings.ReplaceAll(text, `"`, ""), test.logged) || test.logged == "" && text != "" {
				t.Errorf("logged %s", text)
			}
			for _, secret := range []string{"theirs", "secret", ":\"password", "SERCX0"} {
				if strings.Contains(logs.String(), secret) {
					t.Errorf("logged %s", logs.String())
				}
			}
		})
	}
}

func TestShadowIsBounded(t *testing.T) {
	release := make(chan struct{})
	outcomes := make(chan compat.ShadowResult, 100)
	_, h := withUpstream(t, &fakeUpstream{reply: func(http.ResponseWriter, *http.Request, string) bool { <-release; return true }}, func(c *compat.Config) {
		c.Upstream.Shadow, c.Upstream.OnShadow = true, func(s compat.ShadowResult) { outcomes <- s }
		c.Upstream.Timeout = time.Minute
	})
	for range 20 {
		if w := post(h, `{"operation":"refresh_operation_token","refresh_token":"x"}`); w.Code != 401 {
			t.Fatalf("got %d %s", w.Code, w.Body)
		}
	}
	close(release)
	counts := map[string]int{}
	for range 20 {
		counts[(<-outcomes).Outcome]++
	}
	if counts["dropped"] != 4 {
		t.Errorf("outcomes %v, want 4 dropped and 16 sent", counts)
	}
}

// lockedBuffer is a buffer for concurrent use.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
