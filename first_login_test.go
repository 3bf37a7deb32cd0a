package opgrant_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant"
	"github.com/opgrant/opgrant/storage/throttle"
)

func TestTheFirstLoginWorksByEveryWayIn(t *testing.T) {
	old := startOldServer(t)
	s, site := startMoving(t, old, func(c *opgrant.Config) {
		// One failure is the last: a first login that stayed counted as one would make the next one 429.
		c.Storage.Throttle = throttle.Limits{PerUserNetwork: 1, PerNetwork: 1, Window: time.Hour}
	})
	for i, way := range waysIn {
		name := fmt.Sprint("old", i)
		before := len(old.questions())
		way.wants(t, site, name, name+"pw", http.StatusOK)
		if asked := old.questions()[before:]; len(asked) == 0 || asked[0] != "user_info "+name || slices.Contains(asked, "create_authentication_tokens") {
			t.Errorf("%s: the old server was asked %q", way.name, asked)
		}
		if u, err := s.Store.Users.User(t.Context(), name); err != nil || u.Role != "keeper" || u.Scheme != "argon2id" {
			t.Errorf("%s: stored as %+v, %v", way.name, u, err)
		}
		before = len(old.questions())
		for _, again := range waysIn {
			again.wants(t, site, name, name+"pw", http.StatusOK)
		}
		for _, asked := range old.questions()[before:] {
			if strings.HasPrefix(asked, "user_info") {
				t.Errorf("%s: the old server was asked %q about a user who is here", way.name, asked)
			}
		}
	}
}

func TestWrongPasswordsOfUsersOfTheOldServerCountOnce(t *testing.T) {
	for _, way := range waysIn {
		old := startOldServer(t)
		s, site := startMoving(t, old, func(c *opgrant.Config) {
			c.Storage.Throttle = throttle.Limits{PerUserNetwork: 2, Window: time.Hour}
		})
		for _, name := range []string{"old1", "nobody"} {
			for range 2 {
				status, _, body, err := way.enter(t.Context(), site, name, "wrong")
				if err != nil || !strings.HasPrefix(fmt.Sprint(status, " ", body), way.refused) && (status != 400 || !strings.Contains(body, `"invalid_grant"`) || way.refused != "400 invalid_grant") {
					t.Errorf("%s, %s: %d %s %v, want %s", way.name, name, status, body, err, way.refused)
				}
			}
			way.wants(t, site, name, "wrong", http.StatusTooManyRequests)
		}
		if asked := old.questions(); !slices.Equal(asked, []string{"user_info old1", "user_info old1", "user_info nobody", "user_info nobody"}) {
			t.Errorf("%s: asked %q", way.name, asked)
		}
		if _, err := s.Store.Users.User(t.Context(), "old1"); !errors.Is(err, fosite.ErrNotFound) {
			t.Errorf("%s: stored with a wrong password: %v", way.name, err)
		}
	}
}

// The tokens of a first login say what has come with the user: the unit of work has read before that there is no such user.
func TestTheFirstTokensNameTheRoleOfTheUser(t *testing.T) {
	_, site := startMoving(t, startOldServer(t), nil)
	create := func(name, role string) (int, string) {
		status, members := operate(t, site, "", `{"operation":"create_authentication_tokens","username":"`+name+`","password":"`+name+`pw","role":"`+role+`"}`)
		token, _ := members["operation_token"].(string)
		_, payload, _ := strings.Cut(token, ".")
		payload, _, _ = strings.Cut(payload, ".")
		claims, err := base64.RawURLEncoding.DecodeString(payload)
		if err != nil {
			t.Fatal(err)
		}
		return status, string(claims)
	}
	if status, claims := create("old1", "keeper"); status != 200 || !strings.Contains(claims, `"role":"keeper"`) || !strings.Contains(claims, `"super_user":false`) {
		t.Errorf("the user's role: %d %s", status, claims)
	}
	if status, _ := create("old2", "super_user"); status != 400 {
		t.Errorf("another role: %d", status)
	}
}

// The old server keeps one refresh token per user. Who logs in here goes on there with the one that it has.
func TestAFirstLoginLeavesTheTokensAtTheOldServer(t *testing.T) {
	old := startOldServer(t)
	_, site := startMoving(t, old, nil)
	for i, way := range waysIn {
		name := fmt.Sprint("old", i)
		_, tokens := operate(t, old.Server, "", `{"operation":"create_authentication_tokens","username":"`+name+`","password":"`+name+`pw"}`)
		refresh, _ := tokens["refresh_token"].(string)
		way.wants(t, site, name, name+"pw", http.StatusOK)
		way.wants(t, site, "old100", "wrong", map[bool]int{true: 400, false: 401}[way.name == "password grant"])
		if status, members := operate(t, old.Server, "Bearer "+refresh, `{"operation":"refresh_operation_token"}`); status != 200 {
			t.Errorf("%s: a refresh at the old server afterwards: %d %v", way.name, status, members)
		}
	}
}
