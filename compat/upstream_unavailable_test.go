package compat_test

import (
	"encoding/json"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/opgrant/opgrant/compat"
)

func TestUpstreamUnavailable(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	for name, test := range map[string]struct {
		url    string
		reply  func(http.ResponseWriter, *http.Request, string) bool
		status int
	}{
		"not reachable":     {url: "http://" + closed.Addr().String(), status: 502},
		"without an answer": {reply: neverAnswer, status: 504},
	} {
		t.Run(name, func(t *testing.T) {
			_, h := withUpstream(t, &fakeUpstream{reply: test.reply}, func(c *compat.Config) {
				if test.url != "" {
					c.Upstream.URL = test.url
				} else {
					c.Upstream.Timeout = 50 * time.Millisecond
				}
			})
			w := send(h, adminBasic, `{"operation":"describe_all"}`)
			var body struct{ Error string }
			if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || w.Code != test.status || body.Error == "" {
				t.Errorf("got %d %s", w.Code, w.Body)
			}
			login := func(name, password string) int {
				return post(h, `{"operation":"create_authentication_tokens","username":"`+name+`","password":"`+password+`"}`).Code
			}
			if status := login("HDB_ADMIN", "password"); status != 200 {
				t.Errorf("a login here: %d", status)
			}
			if status := login("HDB_ADMIN", "wrong"); status != 401 {
				t.Errorf("a wrong password of a user who is known here: %d", status)
			}
		})
	}
}

// neverAnswer waits until the client has given up.
func neverAnswer(_ http.ResponseWriter, r *http.Request, _ string) bool {
	<-r.Context().Done()
	return true
}
