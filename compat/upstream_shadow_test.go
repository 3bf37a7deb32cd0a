package compat_test

import (
	"bytes"
	"context"
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
	info := `{"operation":"user_info"}`
	agree := func(w http.ResponseWriter, _ *http.Request, _ string) bool {
		_, _ = io.WriteString(w, `{"active":true,"username":"theirs","role":{"secret":1}}`)
		return true
	}
	tests := []struct {
		name, body string
		reply      func(http.ResponseWriter, *http.Request, string) bool
		want       compat.ShadowResult
		logged     string
	}{
		{"same status and shape", info, agree, compat.ShadowResult{Outcome: "same", Status: 200, UpstreamStatus: 200}, ""},
		{
			"another status", `{"operation":"list_roles"}`, nil,
			compat.ShadowResult{Outcome: "differs", Status: 200, UpstreamStatus: 400},
			`status=200 upstream_status=400 shape=array upstream_shape={error:string}`,
		},
		{"another shape", info, func(w http.ResponseWriter, _ *http.Request, _ string) bool {
			_, _ = io.WriteString(w, `{"active":"theirs","`+strings.Repeat("secret", 20)+`":1}`)
			return true
		}, compat.ShadowResult{Outcome: "differs", Status: 200, UpstreamStatus: 200}, `upstream_shape={?:number,active:string}`},
		{"no answer", info, neverAnswer, compat.ShadowResult{Outcome: "failed", Status: 200}, "did not answer"},
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
			test.want.Operation = strings.Split(test.body, `"`)[3]
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
		if w := send(h, adminBasic, `{"operation":"user_info"}`); w.Code != 200 {
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

// TestShadowChangesNothing: a login at the old server would revoke the refresh token of the user there, and a request without
// checked credentials is not repeated.
func TestShadowChangesNothing(t *testing.T) {
	outcomes := make(chan compat.ShadowResult, 100)
	u := &fakeUpstream{}
	_, h := withUpstream(t, u, func(c *compat.Config) {
		c.Upstream.Shadow, c.Upstream.OnShadow = true, func(s compat.ShadowResult) { outcomes <- s }
		c.Upstream.Authorization = func(context.Context, compat.Caller) (string, error) { return "Basic other", nil }
	})
	for _, body := range []string{
		`{"operation":"create_authentication_tokens","username":"HDB_ADMIN","password":"password"}`,
		`{"operation":"create_authentication_tokens"}`,
		`{"operation":"refresh_operation_token","refresh_token":"x"}`,
		`{"operation":"add_role","role":"r","permission":{"super_user":false}}`,
		`{"operation":"alter_user","username":"HDB_ADMIN","active":true}`,
	} {
		send(h, adminBasic, body)
	}
	send(h, "", `{"operation":"user_info","username":"HDB_ADMIN","password":"password"}`)
	if n := len(outcomes) + len(u.requests()); n != 0 {
		t.Errorf("the upstream saw %v", u.requests())
	}
	send(h, adminBasic, `{"operation":"user_info"}`)
	<-outcomes
	if diff := cmp.Diff([]string{"user_info " + adminBasic}, u.requests()); diff != "" {
		t.Error(diff)
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

// Finding B1: nothing that a request starts ends the process.
func TestAPanicInShadowModeEndsNothing(t *testing.T) {
	called := make(chan bool, 2)
	_, h := withUpstream(t, &fakeUpstream{}, func(c *compat.Config) {
		c.Upstream.Shadow = true
		c.Upstream.OnShadow = func(compat.ShadowResult) {
			called <- true
			panic("a hook")
		}
		c.Log = slog.New(slog.DiscardHandler)
	})
	for range 2 {
		if w := send(h, adminBasic, `{"operation":"user_info"}`); w.Code != 200 {
			t.Fatalf("got %d %s", w.Code, w.Body)
		}
		<-called
	}
}
