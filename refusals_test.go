package opgrant_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant"
	"github.com/opgrant/opgrant/storage"
)

// commandLog holds what one request asked of Redis, a line for each round trip. The context of the request carries it, so
// that commands of the background do not count.
type commandLog struct {
	mutex sync.Mutex
	trips []string
}

type commandLogKey struct{}

func logCommands(ctx context.Context, commands ...redis.Cmder) {
	log, _ := ctx.Value(commandLogKey{}).(*commandLog)
	if log == nil {
		return
	}
	names := make([]string, len(commands))
	for i, c := range commands {
		names[i] = c.Name()
	}
	log.mutex.Lock()
	defer log.mutex.Unlock()
	log.trips = append(log.trips, strings.Join(names, " "))
}

type commandHook struct{}

func (commandHook) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (commandHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, c redis.Cmder) error {
		logCommands(ctx, c)
		return next(ctx, c)
	}
}

func (commandHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, list []redis.Cmder) error {
		logCommands(ctx, list...)
		return next(ctx, list)
	}
}

// A refused login asks the same of Redis and computes as many hashes on each endpoint, throttle included, whoever the user is.
func TestRefusedLoginsDoTheSameOnEveryEndpoint(t *testing.T) {
	s, _ := start(t, func(c *opgrant.Config) {
		c.Redis.AddHook(commandHook{})
		c.Storage.ClientCache = time.Hour // reading the client again has nothing to do with the user
	})
	ctx, users, off := t.Context(), s.Store.Users, false
	importTimed(t, users, "harper0", true, harperArgon2id(64))
	importTimed(t, users, "gone-ha", false, harperArgon2id(64))
	importTimed(t, users, "md-user", true, harperMD5())
	addTimed(t, users, "ownuser")
	addTimed(t, users, "gone-ow")
	for _, name := range []string{"ownuser", "gone-ow"} { // into the cache
		if _, err := users.VerifyPassword(ctx, name, timedPassword, ""); err != nil {
			t.Fatal(err)
		}
	}
	if err := users.ChangeUser(ctx, "gone-ow", storage.UserChange{Active: &off}); err != nil {
		t.Fatal(err)
	}
	for _, endpoint := range timedEndpoints {
		try := func(user, password string) (trips []string, runs int64) {
			t.Helper()
			log, before := &commandLog{}, users.PasswordRuns()
			r := endpoint.request(t, "http://127.0.0.1:9925/", user, password)
			r = r.WithContext(context.WithValue(ctx, commandLogKey{}, log))
			r.RequestURI, r.RemoteAddr = r.URL.RequestURI(), "192.0.2.1:4000"
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			if w.Code != endpoint.status || w.Code == http.StatusOK {
				t.Fatalf("%s, %s: %d %s", endpoint.name, user, w.Code, w.Body)
			}
			return log.trips, users.PasswordRuns() - before
		}
		try("nobody!", "wrong") // loads scripts and clients
		want, hashes := try("nobody!", "wrong")
		if len(want) < 3 || hashes != 2 {
			t.Errorf("%s: %q and %d hashes for an unknown user", endpoint.name, want, hashes)
		}
		for _, login := range []timedLogin{
			{"ownuser", "wrong"},
			{"harper0", "wrong"},
			{"md-user", "wrong"},
			{"gone-ow", "wrong"},
			{"gone-ow", timedPassword},
			{"gone-ha", "wrong"},
			{"gone-ha", timedPassword},
		} {
			if trips, runs := try(login.user, login.password); !slices.Equal(trips, want) || runs != hashes {
				t.Errorf("%s, %s, %.5s: %q and %d hashes, want %q and %d", endpoint.name, login.user, login.password, trips, runs, want, hashes)
			}
		}
	}
}

// A running server knows the kinds of hashes that an older version has left in the store.
func TestRunCountsTheKindsOfHashes(t *testing.T) {
	var rdb redis.UniversalClient
	start(t, func(c *opgrant.Config) {
		rdb = c.Redis
		prepare := c.Prepare
		c.Prepare = func(ctx context.Context, s *opgrant.Server) error {
			importTimed(t, s.Store.Users, "harper0", true, harperArgon2id(64))
			return errors.Join(prepare(ctx, s), c.Redis.Del(ctx, "opgrant:kinds").Err())
		}
	})
	for t.Context().Err() == nil {
		if rdb.SCard(t.Context(), "opgrant:kinds").Val() == 2 { // HarperDB's and our own
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}
