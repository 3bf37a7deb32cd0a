package authserver_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
	"github.com/opgrant/opgrant/storage/throttle"
)

const passwordForm = "grant_type=password&username=alice&password=wonder+land"

// A request whose client is not authenticated, or may not log users in, neither counts for the user nor costs a hash.
func TestUnauthenticatedClientsCountNothingOfAUser(t *testing.T) {
	ts := onFake(t)
	ts.withLimits(throttle.Limits{PerUserNetwork: 3, PerUser: 3, PerClient: 1000}, nil)
	check(t, ts.store.PutClient(t.Context(), &storage.Client{ID: "machine", Secrets: secretOf(t, "machine-secret"), Grants: []string{"client_credentials"}}))
	before := ts.store.Users.PasswordRuns()
	for i := range 20 {
		for name, r := range map[string]reply{
			"wrong secret":   ts.raw(http.MethodPost, "/oauth2/token", passwordForm, "Authorization", basic("web", fmt.Sprint("wrong", i))),
			"no secret":      ts.raw(http.MethodPost, "/oauth2/token", passwordForm+"&client_id=web"),
			"unknown client": ts.raw(http.MethodPost, "/oauth2/token", passwordForm, "Authorization", basic("nobody", fmt.Sprint("x", i))),
			"no client":      ts.raw(http.MethodPost, "/oauth2/token", passwordForm),
			"not its grant":  ts.raw(http.MethodPost, "/oauth2/token", passwordForm, "Authorization", basic("machine", "machine-secret")),
			"not its scope":  ts.raw(http.MethodPost, "/oauth2/token", passwordForm+"&scope=everything", "Authorization", as("web")),
		} {
			if r.status != 400 && r.status != 401 {
				t.Errorf("%s: %d %s", name, r.status, r.raw)
			}
		}
	}
	list, known, err := ts.store.Users.Throttle().ListUser(t.Context(), "alice")
	if err != nil || len(list) != 0 || len(known) != 0 || ts.store.Users.PasswordRuns() != before {
		t.Errorf("counted: %+v, %+v, %v, and %d hashes", list, known, err, ts.store.Users.PasswordRuns()-before)
	}
	if r := ts.try("web", "alice", "wonder land"); r.status != http.StatusOK {
		t.Errorf("the owner: %d %s", r.status, r.raw)
	}
}

func secretOf(t *testing.T, secret string) []string {
	t.Helper()
	hash, err := authserver.Secrets{}.Hash(t.Context(), []byte(secret))
	check(t, err)
	return []string{string(hash)}
}

// Three thousand different wrong secrets, then the right one: few are compared, and the answer tells when to come back. It is the same
// at each endpoint, and for clients that do not exist.
func TestWrongClientSecretsAreThrottled(t *testing.T) {
	storagetest.Redis(t, func(t *testing.T, r *storagetest.Instance) {
		ts := newTestServer(t, r.Client(t))
		var trips storagetest.Trips
		ts.rdb.AddHook(&trips)
		ts.withLimits(throttle.Limits{PerClient: 100, Window: time.Hour}, nil)
		for _, client := range []string{"web", "phantom"} {
			statuses := map[int]int{}
			for i := range 3000 {
				path := []string{"/oauth2/token", "/oauth2/introspect", "/oauth2/revoke"}[i%3]
				r := ts.raw(http.MethodPost, path, "grant_type=client_credentials&token=x", "Authorization", basic(client, fmt.Sprint("guess", i)))
				if statuses[r.status]++; r.status == 429 && (r.header.Get("Retry-After") == "" || r.text("error") != "temporarily_unavailable") {
					t.Fatalf("%s %v", r.raw, r.header)
				}
			}
			if statuses[401] < 100 || statuses[401] > 105 || statuses[401]+statuses[429] != 3000 {
				t.Errorf("%s: %v for 3000 wrong secrets", client, statuses)
			}
		}
		right := ts.raw(http.MethodPost, "/oauth2/token", "grant_type=client_credentials", "Authorization", as("web"))
		if right.status != 429 {
			t.Errorf("the right secret: %d", right.status)
		}
		if r := ts.post("/oauth2/token", "other", "grant_type", "client_credentials"); r.status != http.StatusOK {
			t.Errorf("another client: %d %s", r.status, r.raw)
		}

		// A right secret costs what it costs without the limit.
		for range 2 {
			trips.Take()
			ts.post("/oauth2/introspect", "other", "token", "x")
		}
		counted, _ := trips.Take()
		ts.start(nil)
		for range 2 {
			trips.Take()
			ts.post("/oauth2/introspect", "other", "token", "x")
		}
		if without, _ := trips.Take(); counted != without {
			t.Errorf("%d round trips for a right secret, %d without the limit", counted, without)
		}
	})
}

// A worker that was set up with a wrong secret repeats it: that must not lock out the others.
func TestAMisconfiguredWorkerLocksNobodyOut(t *testing.T) {
	ts := onFake(t)
	ts.withLimits(throttle.Limits{PerClient: 5, Window: time.Hour}, nil)
	for range 200 {
		ts.want("the worker", ts.raw(http.MethodPost, "/oauth2/token", "grant_type=client_credentials", "Authorization", basic("web", "mistake")), 401, "invalid_client")
	}
	if r := ts.post("/oauth2/token", "web", "grant_type", "client_credentials"); r.status != http.StatusOK {
		t.Errorf("another worker: %d %s", r.status, r.raw)
	}
}

// A wrong secret that cannot be counted is 503: otherwise an outage would allow any number of guesses.
func TestAWrongSecretThatIsNotCountedIs503(t *testing.T) {
	ts := onFake(t)
	ts.start(func(c *authserver.Config) { c.SecretThrottle = uncounted{} })
	for _, client := range []string{"web", "phantom"} {
		r := ts.raw(http.MethodPost, "/oauth2/introspect", "token=x", "Authorization", basic(client, "wrong"))
		wantUnavailable(t, client, r, 0)
	}
	if r := ts.post("/oauth2/introspect", "web", "token", "x"); r.status != http.StatusOK {
		t.Errorf("the right secret: %d", r.status)
	}
}

// uncounted is a throttle without its Redis.
type uncounted struct{}

func (uncounted) SecretRefused(string, string) time.Duration { return 0 }
func (uncounted) WrongSecret(context.Context, string, string, string) error {
	return fosite.ErrTemporarilyUnavailable
}
