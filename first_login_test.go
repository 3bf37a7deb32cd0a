package opgrant_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ory/fosite"
	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant"
	"github.com/opgrant/opgrant/compat"
	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
	"github.com/opgrant/opgrant/storage/throttle"
)

// A wayIn is one of the places where a password is checked.
type wayIn struct {
	name    string
	request func(site, name, password string) *http.Request
	refused string // the answer to a wrong password: status and body
}

func operation(site, authorization, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, site, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	return r
}

var waysIn = []wayIn{
	{"create_authentication_tokens", func(site, name, password string) *http.Request {
		return operation(site, "", `{"operation":"create_authentication_tokens","username":"`+name+`","password":"`+password+`"}`)
	}, `401 {"error":"invalid credentials"}`},
	{"create_authentication_tokens with Basic", func(site, name, password string) *http.Request {
		return operation(site, basicAuth(name, password), `{"operation":"create_authentication_tokens"}`)
	}, `401 {"error":"Login failed"}`},
	{"Basic", func(site, name, password string) *http.Request {
		return operation(site, basicAuth(name, password), `{"operation":"user_info"}`)
	}, `401 {"error":"Login failed"}`},
	{"credentials in the body", func(site, name, password string) *http.Request {
		return operation(site, "", `{"operation":"user_info","username":"`+name+`","password":"`+password+`"}`)
	}, `401 {"error":"Login failed"}`},
	{"a forwarded operation", func(site, name, password string) *http.Request {
		return operation(site, basicAuth(name, password), `{"operation":"sql"}`)
	}, `401 {"error":"Login failed"}`},
	{"login", func(site, name, password string) *http.Request {
		return operation(site, "", `{"operation":"login","username":"`+name+`","password":"`+password+`"}`)
	}, `401 {"error":"Login failed"}`},
	{"password grant", func(site, name, password string) *http.Request {
		form := url.Values{"grant_type": {"password"}, "username": {name}, "password": {password}}
		r := httptest.NewRequest(http.MethodPost, site+"/oauth2/token", strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth("demo", "demo-secret")
		return r
	}, `400 invalid_grant`},
}

// enter sends a request in and returns the answer.
func (way wayIn) enter(ctx context.Context, site *httptest.Server, name, password string) (status int, header http.Header, body string, err error) {
	r := way.request(site.URL, name, password).WithContext(ctx)
	r.RequestURI = "" // of a client's request
	resp, err := site.Client().Do(r)
	if err != nil {
		return 0, nil, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, string(raw), err
}

func (way wayIn) wants(t *testing.T, site *httptest.Server, name, password string, want int) (http.Header, string) {
	t.Helper()
	status, header, body, err := way.enter(t.Context(), site, name, password)
	if err != nil || status != want {
		t.Errorf("%s, %s: %d %s %v, want %d", way.name, name, status, body, err, want)
	}
	return header, body
}

// unthrottled turns the throttle off: it counts attempts before their result is known, and 200 at once are too many for it.
var unthrottled = throttle.Limits{PerUser: throttle.Limit{Failures: -1}, PerAddress: throttle.Limit{Failures: -1}}

func startMoving(t *testing.T, old *oldServer, change func(*opgrant.Config)) (*opgrant.Server, *httptest.Server) {
	t.Helper()
	return start(t, func(c *opgrant.Config) {
		c.Operations.Upstream = &compat.Upstream{URL: old.URL, Timeout: 5 * time.Second, Cookies: true}
		if change != nil {
			change(c)
		}
	})
}

func TestTheFirstLoginWorksByEveryWayIn(t *testing.T) {
	old := startOldServer(t)
	s, site := startMoving(t, old, func(c *opgrant.Config) {
		// One failure is the last: a first login that stayed counted as one would make the next one 429.
		c.Throttle = throttle.Limits{PerUser: throttle.Limit{Failures: 1, Period: time.Hour}, PerAddress: throttle.Limit{Failures: 1, Period: time.Hour}}
	})
	for i, way := range waysIn {
		name := fmt.Sprint("old", i)
		before := len(old.questions())
		way.wants(t, site, name, name+"pw", http.StatusOK)
		if asked := old.questions()[before:]; len(asked) == 0 || asked[0] != "user_info "+name || slices.Contains(asked, "create_authentication_tokens ") {
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
			c.Throttle = throttle.Limits{PerUser: throttle.Limit{Failures: 2, Period: time.Hour}, PerAddress: throttle.Limit{Failures: -1}}
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

func TestTwoHundredUsersOfTheOldServerLogInAtOnce(t *testing.T) {
	old := startOldServer(t)
	s, site := startMoving(t, old, func(c *opgrant.Config) { c.Throttle = unthrottled })
	burst := make(chan struct{}) // closed when as many questions are under way as may be
	var full sync.Once
	old.answer(func(w http.ResponseWriter, r *http.Request) {
		if old.atOnce() == 16 {
			full.Do(func() { close(burst) })
		}
		<-burst
		name, password, _ := r.BasicAuth()
		asRecorded("user_info", name, password)(w, r)
	})
	ways := []wayIn{waysIn[0], waysIn[2], waysIn[6]}
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			name := fmt.Sprint("old", i)
			ways[i%len(ways)].wants(t, site, name, name+"pw", http.StatusOK)
		})
	}
	all.Wait()
	if n := len(old.questions()); n != 200 || old.atOnce() > 16 {
		t.Errorf("%d questions, %d at once", n, old.atOnce())
	}
	if list, err := s.Store.Users.ListUsers(t.Context()); err != nil || len(list) != 201 {
		t.Errorf("%d users, %v", len(list), err)
	}
}

func TestOneUserOfTheOldServerLogsInFortyTimesAtOnce(t *testing.T) {
	old := startOldServer(t)
	s, site := startMoving(t, old, func(c *opgrant.Config) { c.Throttle = unthrottled })
	before := s.Store.Users.PasswordRuns()
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() { waysIn[[]int{0, 1, 2, 3, 6}[i%5]].wants(t, site, "olga", "olgapw", http.StatusOK) })
	}
	all.Wait()
	if asked := old.questions(); !slices.Equal(asked, []string{"user_info olga"}) {
		t.Errorf("asked %q", asked)
	}
	if runs := s.Store.Users.PasswordRuns() - before; runs > 40 {
		t.Errorf("%d hashes", runs)
	}
}

func TestAnOldServerInTroubleRefusesNobody(t *testing.T) {
	trouble := map[string]http.HandlerFunc{
		"hangs":        func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"hangs up":     func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"server error": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"bad gateway": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(502)
			_, _ = io.WriteString(w, "<h1>Bad</h1>")
		},
		"too many requests": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(429)
			_, _ = io.WriteString(w, `{"error":"Login failed"}`)
		},
		"redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/login", http.StatusFound) },
		"HTML":     func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<h1>Welcome</h1>") },
		"401 in HTML": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(401)
			_, _ = io.WriteString(w, "<h1>Unauthorized</h1>")
		},
		"garbage":      func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte{0xff, 0xfe, 0}) },
		"another user": asRecorded("user_info", "old9", "old9pw"),
	}
	old := startOldServer(t)
	s, site := startMoving(t, old, func(c *opgrant.Config) {
		c.Operations.Upstream.Timeout = 250 * time.Millisecond
		c.Throttle = throttle.Limits{PerUser: throttle.Limit{Failures: 1, Period: time.Hour}, PerAddress: throttle.Limit{Failures: 1, Period: time.Hour}}
	})
	for name, reply := range trouble {
		old.answer(reply)
		for _, way := range waysIn {
			for _, password := range []string{"olgapw", "wrong"} {
				header, _ := way.wants(t, site, "olga", password, http.StatusServiceUnavailable)
				if header.Get("Retry-After") == "" {
					t.Errorf("%s, %s: no Retry-After", name, way.name)
				}
			}
		}
		waysIn[0].wants(t, site, "HDB_ADMIN", "password", http.StatusOK) // who is here needs no old server
	}
	if _, err := s.Store.Users.User(t.Context(), "olga"); !errors.Is(err, fosite.ErrNotFound) {
		t.Errorf("stored: %v", err)
	}
	old.answer(nil)
	waysIn[0].wants(t, site, "olga", "olgapw", http.StatusOK) // none of these counted as a failure
	old.Close()
	for _, way := range waysIn {
		way.wants(t, site, "old1", "old1pw", http.StatusServiceUnavailable)
	}
	waysIn[6].wants(t, site, "olga", "olgapw", http.StatusOK)
}

func TestAnImportIsCompletedWithoutItsCaller(t *testing.T) {
	for _, way := range []wayIn{waysIn[0], waysIn[2], waysIn[6]} {
		old := startOldServer(t)
		s, site := startMoving(t, old, nil)
		arrived, goOn := make(chan struct{}), make(chan struct{})
		old.answer(func(w http.ResponseWriter, r *http.Request) {
			close(arrived)
			<-goOn
			asRecorded("user_info", "olga", "olgapw")(w, r)
		})
		ctx, hangUp := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() {
			_, _, _, err := way.enter(ctx, site, "olga", "olgapw")
			ended <- err
		}()
		<-arrived
		hangUp()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", way.name, err)
		}
		close(goOn)
		deadline := time.Now().Add(30 * time.Second)
		for {
			_, err := s.Store.Users.User(t.Context(), "olga")
			if err == nil {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: not imported: %v", way.name, err)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
}

func TestTwoServersImportTheSameUser(t *testing.T) {
	old := startOldServer(t)
	shared := storagetest.StartInstance(t).Addr
	on := func(c *opgrant.Config) {
		c.Redis = storage.Connect(redis.UniversalOptions{Addrs: []string{shared}})
		t.Cleanup(func() { _ = c.Redis.Close() })
		c.Throttle = unthrottled
	}
	_, one := startMoving(t, old, on)
	_, two := startMoving(t, old, func(c *opgrant.Config) {
		on(c)
		c.Prepare = nil
	})
	var both sync.WaitGroup
	both.Add(2)
	old.answer(func(w http.ResponseWriter, r *http.Request) {
		both.Done() // a third question would be one too many
		both.Wait()
		asRecorded("user_info", "olga", "olgapw")(w, r)
	})
	var all sync.WaitGroup
	for i := range 20 {
		for _, site := range []*httptest.Server{one, two} {
			all.Go(func() { waysIn[[]int{0, 2, 6}[i%3]].wants(t, site, "olga", "olgapw", http.StatusOK) })
		}
	}
	all.Wait()
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
