package resource_test

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opgrant/opgrant/authserver/keys"
	"github.com/opgrant/opgrant/authserver/resource"
)

// breaking is a Transport that panics while it is told to.
type breaking struct {
	http.RoundTripper
	broken atomic.Bool
}

func (b *breaking) RoundTrip(r *http.Request) (*http.Response, error) {
	if b.broken.Load() {
		panic("the Transport")
	}
	return b.RoundTripper.RoundTrip(r)
}

// A Transport that panics in a goroutine of the guard makes tokens unavailable, and does not end the process.
func TestAPanicOfTheTransportIsUnavailable(t *testing.T) {
	for name, change := range map[string]func(*resource.Config){
		"key set": func(c *resource.Config) { c.KeysEvery = time.Millisecond },
		"introspection": func(c *resource.Config) {
			c.Introspection = &resource.Introspection{ClientID: "web", ClientSecret: "rs-secret"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			i := newIssuer(t, keys.Config{}, false)
			transport := &breaking{RoundTripper: i}
			guard := newGuard(t, i, func(c *resource.Config) {
				c.HTTP = &http.Client{Transport: transport}
				change(c)
			})
			token := "Bearer " + i.login("web").Access
			transport.broken.Store(true)
			for range 2 {
				if w := ask(guard, nil, token); w.Code != http.StatusServiceUnavailable {
					t.Errorf("got %d %s", w.Code, w.Body)
				}
			}
			transport.broken.Store(false)
			for end := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) { // KeysEvery
				if w := ask(guard, nil, token); w.Code == http.StatusOK {
					break
				} else if time.Now().After(end) {
					t.Fatalf("afterwards: %d %s", w.Code, w.Body)
				}
			}
		})
	}
}
