package authserver_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/opgrant/opgrant/authserver"
)

func TestThrottledLoginIs429WithRetryAfter(t *testing.T) {
	ts := onFake(t)
	ts.start(func(c *authserver.Config) { c.Throttle = refuse{} })
	r := ts.raw(http.MethodPost, "/oauth2/token", "grant_type=password&username=alice&password=wonder+land", "Authorization", as("web"))
	if r.status != http.StatusTooManyRequests || r.text("error") != "temporarily_unavailable" || r.header.Get("Retry-After") != "7" {
		t.Errorf("%d %s %v", r.status, r.raw, r.header)
	}
}

// refuse is a throttle that has seen too much.
type refuse struct{ authserver.Throttle }

func (refuse) Reserve(context.Context, string, string) (time.Duration, error) {
	return 6500 * time.Millisecond, nil
}
