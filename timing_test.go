package opgrant_test

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"

	"github.com/opgrant/opgrant"
	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
	"github.com/opgrant/opgrant/storage/throttle"
)

var timingPairs = flag.Int("timing", 0, "how many pairs of logins TestLoginTiming measures; 0 skips it")

// timedLogin is a login that is refused. Its time must not differ from those of others.
type timedLogin struct {
	user, password string // a password that begins with "wrong" gets a number, so that no two guesses are equal
}

// timedPair names two logins whose times are compared. The AUC is the probability that the first takes longer than the second:
// 0.5 where the time tells nothing.
type timedPair struct{ a, b string }

// timedStore is a directory of users and what is compared in it.
type timedStore struct {
	fill   func(t *testing.T, u *storage.Users)
	logins map[string]timedLogin
	pairs  []timedPair
}

// TestLoginTiming measures what the time of a refused login tells, at the costs of production, with a real Redis, through the
// endpoints. It prints an AUC for each pair, and fails outside 0.45 to 0.55:
//
//	go test . -run TestLoginTiming -timing 2000 -timeout 0 -v
//
// The logins of a round are sent one after the other in random order, so that whatever else the machine does meets all alike.
func TestLoginTiming(t *testing.T) {
	if *timingPairs == 0 {
		t.Skip("measures time: set -timing 2000")
	}
	for name, store := range map[string]timedStore{"own": ownHashes, "imported": importedHashes} {
		t.Run(name, func(t *testing.T) {
			s, site := start(t, func(c *opgrant.Config) {
				c.Redis = storagetest.StartInstance(t).Client(t)
				c.Storage = storage.Options{
					CredentialCache: time.Hour,
					Password:        policy.PasswordCosts{InsecureCheap: true}, // the costs of production: it only allows the weak password of start
				}
				const many = 1 << 20
				c.Storage.Throttle = throttle.Limits{PerUserNetwork: many, PerUser: many, PerNetwork: many, Window: time.Hour}
			})
			store.fill(t, s.Store.Users)
			for _, try := range timedEndpoints {
				t.Run(try.name, func(t *testing.T) { measure(t, site, store, try) })
			}
		})
	}
}

func measure(t *testing.T, site *httptest.Server, store timedStore, try timedEndpoint) {
	times := map[string][]float64{} // :: name of a login → how long it took, in the order of the rounds
	names := make([]string, 0, len(store.logins))
	for name := range store.logins {
		names = append(names, name)
	}
	begun, unavailable := time.Now(), 0
	const warmUp = 20
	for round := range *timingPairs + warmUp {
		rand.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		for _, name := range names {
			login := store.logins[name]
			password := login.password
			if strings.HasPrefix(password, "wrong") {
				password = fmt.Sprintf("%s-%08d", password, round)
			}
			r := try.request(t, site.URL, login.user, password)
			sent := time.Now()
			resp, err := site.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_, err = io.Copy(io.Discard, resp.Body)
			took := time.Since(sent)
			_ = resp.Body.Close()
			if err == nil && resp.StatusCode == http.StatusServiceUnavailable && round > 0 {
				unavailable++ // the machine is too busy: the attempt tells nothing
				continue
			}
			if err != nil || resp.StatusCode != try.status {
				t.Fatalf("%s: %d, %v", name, resp.StatusCode, err)
			}
			if round >= warmUp {
				times[name] = append(times[name], took.Seconds())
			}
		}
	}
	load, _ := os.ReadFile("/proc/loadavg")
	t.Logf("%d pairs in %v, %d answers 503, load %s", *timingPairs, time.Since(begun).Round(time.Second), unavailable, strings.TrimSpace(string(load)))
	for _, pair := range store.pairs {
		got := auc(times[pair.a], times[pair.b])
		t.Logf("AUC %.3f  %s, compared to %s", got, pair.a, pair.b)
		if got < 0.45 || got > 0.55 {
			t.Errorf("%s, compared to %s: AUC %.3f is not from 0.45 to 0.55", pair.a, pair.b, got)
		}
	}
}

// auc is the probability that a value of a is larger than one of b.
func auc(a, b []float64) float64 {
	var larger float64
	for _, x := range a {
		for _, y := range b {
			switch {
			case x > y:
				larger++
			case x == y:
				larger += 0.5
			}
		}
	}
	return larger / float64(len(a)) / float64(len(b))
}

func TestAUC(t *testing.T) {
	for _, row := range []struct {
		a, b []float64
		want float64
	}{{[]float64{1, 2}, []float64{1, 2}, 0.5}, {[]float64{2, 3}, []float64{0, 1}, 1}, {[]float64{0}, []float64{1, 2}, 0}} {
		if got := auc(row.a, row.b); got != row.want {
			t.Errorf("%v, %v: %v, want %v", row.a, row.b, got, row.want)
		}
	}
}

// timedEndpoint is a way to log in.
type timedEndpoint struct {
	name    string
	status  int // of a refusal
	request func(t *testing.T, site, user, password string) *http.Request
}

var timedEndpoints = []timedEndpoint{
	{"token endpoint", http.StatusBadRequest, func(t *testing.T, site, user, password string) *http.Request {
		form := url.Values{"grant_type": {"password"}, "username": {user}, "password": {password}}
		r := timedRequest(t, strings.TrimSuffix(site, "/")+"/oauth2/token", "application/x-www-form-urlencoded", form.Encode())
		r.SetBasicAuth("demo", "demo-secret")
		return r
	}},
	{"create_authentication_tokens", http.StatusUnauthorized, func(t *testing.T, site, user, password string) *http.Request {
		body, _ := json.Marshal(map[string]string{"operation": "create_authentication_tokens", "username": user, "password": password})
		return timedRequest(t, site, "application/json", string(body))
	}},
	{"Basic", http.StatusUnauthorized, func(t *testing.T, site, user, password string) *http.Request {
		r := timedRequest(t, site, "application/json", `{"operation":"user_info"}`)
		r.SetBasicAuth(user, password)
		return r
	}},
}

func timedRequest(t *testing.T, target, contentType, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", contentType)
	return r
}

const timedPassword = "quite right for all of them"

// ownHashes has our own hashes and the fast ones, which cost a refusal nothing more.
var ownHashes = timedStore{
	fill: func(t *testing.T, u *storage.Users) {
		importTimed(t, u, "md-user", true, harperMD5())
		importTimed(t, u, "shauser", true, harperSHA256())
		addTimed(t, u, "ownuser")
		addTimed(t, u, "caching")
		addTimed(t, u, "gone-ow")
		for _, name := range []string{"caching", "gone-ow"} { // while it was enabled
			if _, err := u.VerifyPassword(t.Context(), name, timedPassword, ""); err != nil {
				t.Fatal(err)
			}
		}
		off := false
		if err := u.ChangeUser(t.Context(), "gone-ow", storage.UserChange{Active: &off}); err != nil {
			t.Fatal(err)
		}
	},
	logins: map[string]timedLogin{
		"unknown user":                    {"nobody!", "wrong"},
		"argon2id of our own":             {"ownuser", "wrong"},
		"a user whose password is cached": {"caching", "wrong"},
		"md5":                             {"md-user", "wrong"},
		"sha256":                          {"shauser", "wrong"},
		"disabled user, wrong password":   {"gone-ow", "wrong"},
		"disabled user, right password":   {"gone-ow", timedPassword},
	},
	pairs: []timedPair{
		{"argon2id of our own", "unknown user"},
		{"a user whose password is cached", "unknown user"},
		{"md5", "unknown user"},
		{"sha256", "unknown user"},
		{"disabled user, wrong password", "unknown user"},
		{"disabled user, right password", "unknown user"},
		{"disabled user, right password", "disabled user, wrong password"},
	},
}

// importedHashes also has slow hashes of other servers.
var importedHashes = timedStore{
	fill: func(t *testing.T, u *storage.Users) {
		bc, err := bcrypt.GenerateFromPassword([]byte(timedPassword), 10)
		if err != nil {
			t.Fatal(err)
		}
		importTimed(t, u, "harper0", true, harperArgon2id(64<<10))
		importTimed(t, u, "gone-ha", false, harperArgon2id(64<<10))
		importTimed(t, u, "bcrypt0", true, string(bc))
		importTimed(t, u, "md-user", true, harperMD5())
		addTimed(t, u, "ownuser")
	},
	logins: map[string]timedLogin{
		"unknown user":         {"nobody!", "wrong"},
		"argon2id of our own":  {"ownuser", "wrong"},
		"argon2id of HarperDB": {"harper0", "wrong"},
		"bcrypt":               {"bcrypt0", "wrong"},
		"md5":                  {"md-user", "wrong"},
		"disabled, HarperDB's, the right password": {"gone-ha", timedPassword},
	},
	pairs: []timedPair{
		{"argon2id of our own", "unknown user"},
		{"argon2id of HarperDB", "unknown user"},
		{"bcrypt", "unknown user"},
		{"md5", "unknown user"},
		{"disabled, HarperDB's, the right password", "unknown user"},
		{"disabled, HarperDB's, the right password", "argon2id of HarperDB"},
	},
}

func addTimed(t *testing.T, u *storage.Users, name string) {
	t.Helper()
	if err := u.AddUser(t.Context(), storage.User{Name: name, Active: true}, timedPassword); err != nil {
		t.Fatal(err)
	}
}

func importTimed(t *testing.T, u *storage.Users, name string, active bool, hash string) {
	t.Helper()
	results, err := u.ImportUsers(t.Context(), []storage.Import{{User: storage.User{Name: name, Active: active}, Hash: hash}}, false)
	if err != nil || results[0].Outcome != storage.ImportAdded {
		t.Fatalf("%s: %v, %v", name, results, err)
	}
}

// The stored forms of HarperDB. Its argon2id uses 64 MiB.
const timedSalt = "aB3dE6gH9jK2mN5p"

func harperMD5() string {
	sum := md5.Sum([]byte(timedPassword + timedSalt[:9]))
	return timedSalt[:9] + hex.EncodeToString(sum[:])
}

func harperSHA256() string {
	sum := sha256.Sum256([]byte(timedPassword + timedSalt))
	return timedSalt + hex.EncodeToString(sum[:])
}

func harperArgon2id(memory uint32) string {
	b64 := base64.RawStdEncoding.EncodeToString
	key := argon2.IDKey([]byte(timedPassword), []byte(timedSalt), 3, memory, 4, 32)
	return fmt.Sprintf("%s$argon2id$v=19$m=%d,t=3,p=4$%s$%s", timedSalt, memory, b64([]byte(timedSalt)), b64(key))
}
