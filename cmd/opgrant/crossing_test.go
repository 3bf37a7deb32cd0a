package main

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-crypt/crypt/algorithm/argon2"
	"github.com/golang-jwt/jwt/v5"

	"github.com/opgrant/opgrant/authserver/keys"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// oldServer has the data of a HarperDB server: a key pair as openssl writes it.
type oldServer struct {
	dir     string
	private *rsa.PrivateKey
	public  *rsa.PublicKey
}

func newOldServer(t *testing.T) *oldServer {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl is not installed")
	}
	o := &oldServer{dir: t.TempDir()}
	pass := filepath.Join(o.dir, ".jwtPass")
	mustWrite(t, pass, "0b9ad9a1-0c4e-4f3c-9d3a-6f9a1e5b7c11")
	private := filepath.Join(o.dir, ".jwtPrivate.key")
	openssl(t, "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:4096", "-aes-256-cbc", "-pass", "file:"+pass, "-out", private)
	openssl(t, "pkey", "-in", private, "-passin", "file:"+pass, "-pubout", "-out", filepath.Join(o.dir, ".jwtPublic.key"))
	text, err := os.ReadFile(private)
	if err != nil || !bytes.Contains(text, []byte("BEGIN ENCRYPTED PRIVATE KEY")) {
		t.Fatalf("openssl wrote another form: %v", err)
	}
	signer, err := keys.ParsePrivate(text, []byte("0b9ad9a1-0c4e-4f3c-9d3a-6f9a1e5b7c11"))
	if err != nil {
		t.Fatal(err)
	}
	o.private = signer.(*rsa.PrivateKey)
	o.public = &o.private.PublicKey
	return o
}

func openssl(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "openssl", args...).CombinedOutput(); err != nil {
		t.Fatalf("openssl %s: %v\n%s", args[0], err, out)
	}
}

// token signs a token as the old server does: no kid, no sid, no jti.
func (o *oldServer) token(t *testing.T, username any, super bool, sub string, ttl time.Duration) string {
	t.Helper()
	now := time.Now()
	claims := jwt.MapClaims{"username": username, "super_user": super, "iat": now.Unix(), "exp": now.Add(ttl).Unix(), "sub": sub}
	signed, err := jwt.NewWithClaims(jwt.SigningMethodRS256, claims).SignedString(o.private)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func sha256Form(text string) string {
	sum := sha256.Sum256([]byte(text + "SALTsaltSALTsalt"))
	return "SALTsaltSALTsalt" + hex.EncodeToString(sum[:])
}

func md5Form(text string) string {
	sum := md5.Sum([]byte(text + "saltsalts"))
	return "saltsalts" + hex.EncodeToString(sum[:])
}

func argon2Form(t *testing.T, text string) string {
	t.Helper()
	hasher, err := argon2.New(argon2.WithVariantID(), argon2.WithM(64), argon2.WithT(1), argon2.WithP(1))
	if err != nil {
		t.Fatal(err)
	}
	digest, err := hasher.Hash(text + "SALTsaltSALTsalt")
	if err != nil {
		t.Fatal(err)
	}
	return "SALTsaltSALTsalt" + digest.Encode()
}

// After an import both servers accept the tokens of the other, passwords stay valid, and a second import changes nothing.
func TestTokensAndPasswordsSurviveAnImport(t *testing.T) {
	old := newOldServer(t)
	refresh := old.token(t, "alice", false, "refresh", 24*time.Hour)
	replaced := old.token(t, "alice", true, "refresh", 12*time.Hour) // of an earlier login there
	rows, err := json.Marshal(map[string]any{
		"hdb_user": []map[string]any{
			{"username": "alice", "password": sha256Form("alicepw"), "hash_function": "sha256", "active": true, "role": "staff", "refresh_token": sha256Form(refresh)},
			{"username": "mona", "password": md5Form("monapw"), "active": true, "role": "boss", "refresh_token": nil},
			{"username": "arno", "password": argon2Form(t, "arnopw"), "hash_function": "argon2id", "active": true, "role": "staff"},
			{"username": "gone", "password": sha256Form("gonepw"), "hash_function": "sha256", "active": false, "role": "staff"},
		},
		"hdb_role": []map[string]any{
			{"id": "staff", "role": "staff", "permission": map[string]any{"super_user": false}},
			{"id": "boss", "role": "boss", "permission": map[string]any{"super_user": true}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(old.dir, "rows.json")
	mustWrite(t, file, string(rows))
	redis := "redis://" + storagetest.StartMiniredis(t).Addr
	initStore(t, redis)
	importOnce := func(want string, more ...string) {
		t.Helper()
		args := append([]string{"import", "harper", "--redis", redis, "--keys", old.dir, "--from", file, "--output", "json"}, more...)
		var out, messages bytes.Buffer
		if err := run(t.Context(), args, nil, strings.NewReader(""), &out, &messages); err != nil {
			t.Fatalf("%v\n%s", err, &messages)
		}
		var report struct{ Outcomes map[string]map[string]int }
		if err := json.Unmarshal(out.Bytes(), &report); err != nil {
			t.Fatalf("%v\n%s", err, &out)
		}
		if got := fmt.Sprint(report.Outcomes); got != want {
			t.Errorf("import: %s, want %s", got, want)
		}
	}
	importOnce("map[keys:map[added:1] roles:map[added:2] users:map[added:4]]", "--dry-run")
	importOnce("map[keys:map[added:1] roles:map[added:2] users:map[added:4]]")
	importOnce("map[keys:map[unchanged:1] roles:map[unchanged:2] users:map[unchanged:4]]")

	api := startOn(t, redis)
	for name, c := range map[string]struct {
		token  string
		status int
	}{
		"operation token":                     {old.token(t, "alice", false, "operation", time.Hour), 200},
		"whole user record as the name":       {old.token(t, map[string]any{"username": "alice", "active": true}, false, "operation", time.Hour), 200},
		"operation token of a disabled user":  {old.token(t, "gone", false, "operation", time.Hour), 401},
		"operation token of an unknown user":  {old.token(t, "nobody", false, "operation", time.Hour), 401},
		"expired operation token":             {old.token(t, "alice", false, "operation", -time.Minute), 401},
		"refresh token as an operation token": {refresh, 401},
	} {
		if status, body := api.post(t, c.token, `{"operation":"user_info"}`); status != c.status {
			t.Errorf("%s: %d %v", name, status, body)
		}
	}
	for range 3 {
		if status, body := api.post(t, refresh, `{"operation":"refresh_operation_token"}`); status != 200 {
			t.Fatalf("old refresh token: %d %v", status, body)
		}
	}
	if status, body := api.post(t, "", `{"operation":"refresh_operation_token","refresh_token":"`+refresh+`"}`); status != 200 {
		t.Errorf("old refresh token in the body: %d %v", status, body)
	}
	for name, token := range map[string]string{
		"replaced by a later login there": replaced,
		"of a user who has none there":    old.token(t, "mona", true, "refresh", time.Hour),
	} {
		if status, body := api.post(t, token, `{"operation":"refresh_operation_token"}`); status != 401 {
			t.Errorf("refresh token %s: %d %v", name, status, body)
		}
	}
	for user, super := range map[string]bool{"alice": false, "mona": true, "arno": false} {
		status, body := api.post(t, "", fmt.Sprintf(`{"operation":"create_authentication_tokens","username":%q,"password":"%spw"}`, user, user))
		if status != 200 {
			t.Fatalf("login of %s: %d %v", user, status, body)
		}
		old.accepts(t, body["operation_token"], user, super, "operation")
		old.accepts(t, body["refresh_token"], user, super, "refresh")
	}
	importOnce("map[keys:map[unchanged:1] roles:map[unchanged:2] users:map[unchanged:4]]") // after the hashes were replaced

	issuedBefore := old.token(t, "alice", false, "operation", time.Hour)
	_, boss := api.post(t, "", `{"operation":"create_authentication_tokens","username":"mona","password":"monapw"}`)
	if status, body := api.post(t, boss["operation_token"], `{"operation":"alter_user","username":"alice","password":"another one"}`); status != 200 {
		t.Fatalf("alter_user: %d %v", status, body)
	}
	if status, body := api.post(t, refresh, `{"operation":"refresh_operation_token"}`); status != 401 {
		t.Errorf("old refresh token after a password change: %d %v", status, body)
	}
	if status, body := api.post(t, issuedBefore, `{"operation":"user_info"}`); status != 401 {
		t.Errorf("old operation token after a password change: %d %v", status, body)
	}
}

// accepts checks a token as the old server does: key, algorithm, and every claim that it reads.
func (o *oldServer) accepts(t *testing.T, token, username string, super bool, sub string) {
	t.Helper()
	claims := jwt.MapClaims{}
	_, err := jwt.ParseWithClaims(token, claims, func(*jwt.Token) (any, error) { return o.public, nil },
		jwt.WithValidMethods([]string{"RS256"}), jwt.WithExpirationRequired(), jwt.WithIssuedAt())
	if err != nil {
		t.Fatalf("the old server refuses our token: %v", err)
	}
	if claims["username"] != username || claims["super_user"] != super || claims["sub"] != sub || claims["iat"] == nil {
		t.Errorf("claims %v", claims)
	}
}

// operationsAPI is the operations API of a running program.
type operationsAPI struct{ url string }

// startOn starts the program on a Redis.
func startOn(t *testing.T, redis string) operationsAPI {
	t.Helper()
	file := filepath.Join(t.TempDir(), "opgrant.yaml")
	mustWrite(t, file, "log: {format: text}\nclients:\n  - {id: operations, profile: legacy, refresh: static, grants: [password, refresh_token, "+
		"\"urn:ietf:params:oauth:grant-type:token-exchange\"]}\n")
	ctx, cancel := context.WithCancel(context.Background())
	logs, pipe := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, []string{"serve", "--redis", redis, "--config", file, "--listen", "127.0.0.1:0", "--admin-listen", "off"},
			[]string{"OPGRANT_HTTP_DRAIN_DELAY=0s"}, strings.NewReader(""), io.Discard, pipe)
		_ = pipe.Close()
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return operationsAPI{url: "http://" + awaitReady(t, logs)}
}

func (a operationsAPI) post(t *testing.T, bearer, body string) (int, map[string]string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, a.url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	resp, err := (&http.Client{Timeout: 20 * time.Second}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer := map[string]any{}
	_ = json.NewDecoder(resp.Body).Decode(&answer)
	text := map[string]string{}
	for name, value := range answer {
		text[name] = fmt.Sprint(value)
	}
	return resp.StatusCode, text
}

func mustWrite(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
