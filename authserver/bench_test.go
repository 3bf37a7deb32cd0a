//go:build unix

package authserver_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// bench serves requests in this process, without a socket, so that only the server and Redis are measured.
type bench struct {
	b      *testing.B
	server http.Handler
	trips  *storagetest.Trips
}

func newBench(b *testing.B) *bench {
	b.Helper()
	addr := ""
	if storagetest.Installed(b) {
		addr = storagetest.StartInstance(b).Addr
	} else {
		addr = storagetest.StartMiniredis(b).Addr
	}
	rdb := storage.Connect(redis.UniversalOptions{Addrs: []string{addr}})
	b.Cleanup(func() { _ = rdb.Close() })
	trips := &storagetest.Trips{}
	rdb.AddHook(trips)
	store, err := storage.New(rdb, storage.Options{Password: cheapPasswords, ClientCache: time.Hour})
	check(b, err)
	set := openKeys(b, store.Keys, 0)
	ctx := context.Background()
	check(b, store.Users.AddUser(ctx, storage.User{Name: "alice", Active: true}, "wonderland"))
	grants := []string{"password", "refresh_token"}
	secret, err := authserver.Secrets{}.Hash(ctx, []byte("rs-secret"))
	check(b, err)
	for _, c := range []*storage.Client{
		{ID: "static", Public: true, Grants: grants, Profile: policy.ProfileLegacy, Refresh: policy.RefreshStatic},
		{ID: "rotate", Public: true, Grants: grants},
		{ID: "es256", Public: true, Grants: grants, Algorithm: "ES256"},
		{ID: "rs", Secrets: []string{string(secret)}, Introspect: true},
	} {
		check(b, store.PutClient(ctx, c))
	}
	server, err := authserver.New(authserver.Config{
		Issuer: "http://localhost", Storage: store, Users: store.Users, Keys: set, Log: slog.New(slog.DiscardHandler),
	})
	check(b, err)
	return &bench{b: b, server: server, trips: trips}
}

func (s *bench) post(path string, form url.Values) map[string]any {
	req := httptest.NewRequestWithContext(context.Background(), http.MethodPost, path, strings.NewReader(form.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	s.server.ServeHTTP(w, req)
	if w.Code != http.StatusOK {
		body, _ := io.ReadAll(w.Body)
		s.b.Fatalf("%s: %d %s", path, w.Code, body)
	}
	return decode(w.Body.Bytes())
}

func (s *bench) login(client string) map[string]any {
	return s.post("/oauth2/token", url.Values{"grant_type": {"password"}, "client_id": {client}, "username": {"alice"}, "password": {"wonderland"}})
}

// measure reports the processor time of one signature divided by that of one request, both of this process in this run, so
// that other load on the machine does not matter. A server whose only cost is the signature would have 1. The time of Redis
// is not included.
func (s *bench) measure(sign func(), request func()) {
	before := processor(200, sign)
	s.trips.Take()
	start, n := used(), 0
	for s.b.Loop() {
		request()
		n++
	}
	perRequest := float64(used()-start) / float64(n)
	trips, _ := s.trips.Take()
	s.b.ReportMetric(float64(trips)/float64(n), "roundtrips/op")
	s.b.ReportMetric(perRequest/1000, "cpu-µs/op")
	s.b.ReportMetric((before+processor(200, sign))/2/perRequest, "signature-share")
}

// processor returns the processor time of one call, in nanoseconds.
func processor(n int, f func()) float64 {
	start := used()
	for range n {
		f()
	}
	return float64(used()-start) / float64(n)
}

// used returns the processor time of this process.
func used() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func rsaSign(b *testing.B) func() {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	check(b, err)
	sum := sha256.Sum256([]byte("header.payload"))
	return func() { _, _ = rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:]) }
}

// A static refresh signs one token. The rest of the request is the cost of the server.
func BenchmarkRefreshStatic(b *testing.B) {
	s := newBench(b)
	token := s.login("static")["refresh_token"].(string)
	s.measure(rsaSign(b), func() {
		s.post("/oauth2/token", url.Values{"grant_type": {"refresh_token"}, "client_id": {"static"}, "refresh_token": {token}})
	})
}

func BenchmarkRefreshRotating(b *testing.B) {
	s := newBench(b)
	token := s.login("rotate")["refresh_token"].(string)
	s.measure(rsaSign(b), func() {
		token = s.post("/oauth2/token", url.Values{"grant_type": {"refresh_token"}, "client_id": {"rotate"}, "refresh_token": {token}})["refresh_token"].(string)
	})
}

func BenchmarkRefreshRotatingES256(b *testing.B) {
	s := newBench(b)
	token := s.login("es256")["refresh_token"].(string)
	s.measure(rsaSign(b), func() {
		token = s.post("/oauth2/token", url.Values{"grant_type": {"refresh_token"}, "client_id": {"es256"}, "refresh_token": {token}})["refresh_token"].(string)
	})
}

func BenchmarkIntrospect(b *testing.B) {
	s := newBench(b)
	token := s.login("rotate")["access_token"].(string)
	form := url.Values{"token": {token}, "client_id": {"rs"}, "client_secret": {"rs-secret"}}
	s.measure(rsaSign(b), func() { s.post("/oauth2/introspect", form) })
}
