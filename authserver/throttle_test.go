package authserver_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/authserver/policy"
)

func TestThrottledLoginIs429WithRetryAfter(t *testing.T) {
	ts := onFake(t)
	ts.start(func(c *authserver.Config) { c.Users = refuse{c.Users} })
	r := ts.raw(http.MethodPost, "/oauth2/token", "grant_type=password&username=alice&password=wonder+land", "Authorization", as("web"))
	if r.status != http.StatusTooManyRequests || r.text("error") != "temporarily_unavailable" || r.header.Get("Retry-After") != "7" {
		t.Errorf("%d %s %v", r.status, r.raw, r.header)
	}
}

// refuse has seen too much.
type refuse struct{ authserver.Users }

func (refuse) Login(context.Context, string, string, string) (string, error) {
	return "", policy.TooManyAttempts{RetryAfter: 6500 * time.Millisecond}
}
