package cli

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/opgrant/opgrant/storage/storagetest"
)

// TestComposeStackRuns runs the services of the compose file without containers: only paths, hosts and ports are changed.
func TestComposeStackRuns(t *testing.T) {
	if !storagetest.Installed(t) {
		t.Skip("redis-server is not installed")
	}
	file := readCompose(t)
	redisAddress, serverAddress := freeAddress(t), freeAddress(t)
	_, redisPort, _ := net.SplitHostPort(redisAddress)
	here := strings.NewReplacer(
		"docker-entrypoint.sh ", "", "$$", "$", "--dir /data", "--dir "+t.TempDir()+" --bind 127.0.0.1 --port "+redisPort,
		"/run/secrets/redis_password", file.secretPath(t, "redis_password"), "redis-cli", "redis-cli -p "+redisPort,
	)
	words := file.Services["redis"].Command
	redis := exec.Command(words[0], words[1], here.Replace(words[2]))
	if err := redis.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = redis.Process.Kill(); _ = redis.Wait() })
	healthy := func() bool {
		return exec.Command("sh", "-c", here.Replace(file.Services["redis"].Healthcheck.Test[1])).Run() == nil
	}
	eventually(t, "redis is healthy", healthy)

	environ := func(name string) []string {
		list := append(file.environ(t, name), "OPGRANT_ADMIN_LISTEN=off", "OPGRANT_HTTP_DRAIN_DELAY=0s")
		for i, pair := range list {
			pair = strings.Replace(pair, "redis://redis:6379", "redis://"+redisAddress, 1)
			list[i] = strings.Replace(pair, "0.0.0.0:9925", serverAddress, 1)
		}
		return list
	}
	var log strings.Builder
	for range 2 { // the seed is idempotent
		if err := runProgram(t.Context(), file.Services["seed"].Command, environ("seed"), nil, io.Discard, &log); err != nil {
			t.Fatalf("seed: %v\n%s", err, &log)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- runProgram(ctx, file.Services["server"].Command, environ("server"), nil, io.Discard, os.Stderr)
	}()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("server: %v", err)
		}
	}()
	eventually(t, "the server is healthy", func() bool {
		return runProgram(t.Context(), []string{"healthcheck"}, environ("server"), nil, io.Discard, io.Discard) == nil
	})
	for _, row := range []struct{ path, kind, body string }{
		{"/", "application/json", `{"operation":"create_authentication_tokens","username":"HDB_ADMIN","password":"password"}`},
		{"/oauth2/token", "application/x-www-form-urlencoded", "grant_type=password&username=HDB_ADMIN&password=password&client_id=demo&client_secret=demo-secret"},
	} {
		if status, body := post(t, "http://"+serverAddress+row.path, row.kind, row.body); status != 200 {
			t.Errorf("POST %s: %d %s", row.path, status, body)
		}
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("not within a minute: %s", what)
}

func post(t *testing.T, url, kind, body string) (status int, answer string) {
	t.Helper()
	response, err := http.Post(url, kind, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(raw)
}

func runProgram(ctx context.Context, args, environ []string, stdin io.Reader, stdout, stderr io.Writer) error {
	return Program{Environ: environ, Stdin: stdin, Stdout: stdout, Stderr: stderr}.Run(ctx, args)
}
