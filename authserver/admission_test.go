package authserver_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/authserver/admission"
	"github.com/opgrant/opgrant/storage"
)

// What is not admitted is answered 503 with Retry-After on every endpoint, and changes nothing. What costs nothing is answered.
func TestRequestsThatAreNotAdmittedAre503(t *testing.T) {
	ts := onFake(t)
	gate := admission.NewGate(admission.Limits{Running: 1}) // nothing waits
	ts.start(func(c *authserver.Config) { c.Admission = gate })
	web, legacy := ts.login("web"), ts.login("old")
	place, err := gate.Enter(t.Context(), admission.First)
	check(t, err)
	ts.log.Reset()
	list := slices.DeleteFunc(requestsOfEachKind(ts, web, legacy), func(q request) bool { return q.name == "wrong password" }) // it costs a hash alone
	sendAll(t, list)
	if n := gate.Numbers(); n.Refused != int64(len(list)) {
		t.Errorf("%+v after %d requests", n, len(list))
	}
	if strings.Contains(ts.log.String(), "level=ERROR") {
		t.Errorf("each refusal is logged as an error:\n%s", ts.log)
	}
	if _, err := ts.server.Inspect(t.Context(), web.text("access_token")); !errors.Is(err, fosite.ErrTemporarilyUnavailable) || errors.Is(err, authserver.ErrTokenInvalid) {
		t.Errorf("Inspect: %v", err)
	}
	ts.want("a malformed request", ts.post("/oauth2/token", "web", "grant_type", "nonsense"), 400, "unsupported_grant_type")
	for _, path := range []string{"/.well-known/jwks.json", "/.well-known/oauth-authorization-server"} {
		if r := ts.raw(http.MethodGet, path, ""); r.status != http.StatusOK {
			t.Errorf("%s: %d", path, r.status)
		}
	}

	place.Leave()
	for _, token := range []string{web.text("access_token"), legacy.text("access_token")} {
		if !ts.active(token) {
			t.Error("a token has ended by a request that was not admitted")
		}
	}
	if r := ts.refresh("web", web.text("refresh_token")); r.status != http.StatusOK {
		t.Errorf("refresh afterwards: %d %s", r.status, r.raw)
	}
}

// waitingUsers hold the check of an imported token up, as a hash of it does that waits for a core.
type waitingUsers struct {
	*storage.Users
	waits, goOn chan struct{}
}

func (u waitingUsers) ImportedTokenValid(ctx context.Context, subject string, issued time.Time, refresh string) error {
	close(u.waits)
	<-u.goOn
	return u.Users.ImportedTokenValid(ctx, subject, issued, refresh)
}

// An imported refresh token may cost a hash at its first use. It has no place among the requests meanwhile.
func TestImportedTokensThatWaitForAHashDoNotStopRefreshes(t *testing.T) {
	ts := onFake(t)
	sign := importKey(t, ts)
	gate := admission.NewGate(admission.Limits{Running: 1}) // nothing waits
	users := waitingUsers{ts.store.Users, make(chan struct{}), make(chan struct{})}
	ts.start(func(c *authserver.Config) { c.Admission, c.Users = gate, users })
	web := ts.login("web")
	imported := make(chan reply)
	token := sign("alice", "refresh", time.Now().Add(time.Minute))
	go func() { imported <- ts.refresh("old", token) }()
	<-users.waits
	ts.want("another refresh meanwhile", ts.refresh("web", web.text("refresh_token")), 200, "")
	close(users.goOn)
	ts.want("the imported token", <-imported, 200, "")
	if n := gate.Numbers(); n != (admission.Numbers{}) {
		t.Errorf("afterwards: %+v", n)
	}
}
