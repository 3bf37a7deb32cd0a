package opgrant_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opgrant/opgrant"
	"github.com/opgrant/opgrant/compat"
	"github.com/opgrant/opgrant/storage/throttle"
)

func TestADroppedUserIsNotImportedAgain(t *testing.T) {
	old := startOldServer(t)
	_, site := start(t, func(c *opgrant.Config) {
		c.Operations.Upstream = &compat.Upstream{URL: old.URL, Timeout: 5 * time.Second}
	})
	create := `{"operation":"create_authentication_tokens","username":"olga","password":"olgapw"}`
	if status, members := operate(t, site, "", create); status != 200 {
		t.Fatalf("the first login: %d %v", status, members)
	}
	if status, members := operate(t, site, admin, `{"operation":"drop_user","username":"olga"}`); status != 200 {
		t.Fatalf("drop: %d %v", status, members)
	}
	before := len(old.questions())
	if status, members := operate(t, site, "", create); status != 401 {
		t.Errorf("after the drop: %d %v", status, members)
	}
	if asked := old.questions()[before:]; len(asked) != 0 {
		t.Errorf("the old server was asked %q about a dropped user", asked)
	}
}

func TestUsersAreImportedWhenTheyLogIn(t *testing.T) {
	old := startOldServer(t)
	s, site := start(t, func(c *opgrant.Config) {
		c.Operations.Upstream = &compat.Upstream{URL: old.URL, Timeout: 5 * time.Second}
	})
	create := `{"operation":"create_authentication_tokens","username":"olga","password":"olgapw"}`
	if status, members := operate(t, site, "", create); status != 200 {
		t.Fatalf("the first login: %d %v", status, members)
	}
	if asked := old.questions(); !slices.Equal(asked, []string{"user_info olga"}) {
		t.Errorf("the old server was asked %q", asked)
	}
	old.Close()
	if status, members := operate(t, site, "", create); status != 200 {
		t.Errorf("without the old server: %d %v", status, members)
	}
	if status, members := operate(t, site, basicAuth("olga", "olgapw"), `{"operation":"user_info"}`); status != 200 {
		t.Errorf("user_info: %d %v", status, members)
	}
	if status, members := oauth(t, site, "/oauth2/token", url.Values{"grant_type": {"password"}, "username": {"olga"}, "password": {"olgapw"}}); status != 200 {
		t.Errorf("OAuth login: %d %v", status, members)
	}
	if u, err := s.Store.Users.User(context.Background(), "olga"); err != nil || u.Scheme != "argon2id" || u.Role != "keeper" {
		t.Errorf("stored as %+v, %v", u, err)
	}
	if status, members := operate(t, site, admin, `{"operation":"insert"}`); status != 502 || members["error"] == "" {
		t.Errorf("an operation of the old server: %d %v", status, members)
	}
}

// Each way to have a password checked before something is forwarded counts with the same throttle, and none reaches the old server.
func TestPasswordsOnTheWayToTheUpstreamAreThrottled(t *testing.T) {
	ways := map[string]func(r *http.Request, password string) (body string){
		"Basic": func(r *http.Request, password string) string {
			r.SetBasicAuth("HDB_ADMIN", password)
			return `{"operation":"sql"}`
		},
		"Basic, MessagePack": func(r *http.Request, password string) string {
			r.SetBasicAuth("HDB_ADMIN", password)
			r.Header.Set("Content-Type", "application/x-msgpack")
			return "\x81\xa9operation\xa3sql"
		},
		"the body": func(_ *http.Request, password string) string {
			return `{"operation":"sql","username":"HDB_ADMIN","password":"` + password + `"}`
		},
		"login": func(_ *http.Request, password string) string {
			return `{"operation":"login","username":"HDB_ADMIN","password":"` + password + `"}`
		},
		"the tokens of a login": func(_ *http.Request, password string) string {
			return `{"operation":"create_authentication_tokens","username":"HDB_ADMIN","password":"` + password + `"}`
		},
	}
	old := startOldServer(t)
	_, site := start(t, func(c *opgrant.Config) {
		c.Storage.Throttle = throttle.Limits{PerUserNetwork: len(ways), Window: time.Hour}
		c.Operations.Upstream = &compat.Upstream{URL: old.URL, Timeout: 5 * time.Second, Cookies: true}
	})
	for round, want := range []int{http.StatusUnauthorized, http.StatusTooManyRequests} {
		for name, prepare := range ways {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, site.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/json")
			body := prepare(r, fmt.Sprintf("wrong %d %s", round, name))
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
			if status, members := answered(t, site, r); status != want {
				t.Errorf("%s, round %d: %d %v, want %d", name, round, status, members, want)
			}
		}
	}
	if asked := old.questions(); len(asked) != 0 {
		t.Errorf("the old server was asked %q", asked)
	}
}
