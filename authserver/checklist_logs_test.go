package authserver_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/opgrant/opgrant/authserver"
)

func logsHoldNoSecret(t *testing.T) {
	ts := onFake(t)
	log := &lockedBuffer{}
	ts.start(func(c *authserver.Config) {
		c.Log = slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	ts.addUser("canary", "CANARY-right", true)
	login := ts.try("web", "canary", "CANARY-right")
	secrets := []string{"CANARY", "web-secret", login.text("access_token"), login.text("refresh_token")}
	ts.try("web", "canary", "CANARY-wrong")
	ts.raw(http.MethodPost, "/oauth2/token", loginBody, "Authorization", basic("web", "CANARY-secret"))
	ts.raw(http.MethodPost, "/oauth2/token?password=CANARY", loginBody)
	ts.refresh("other", login.text("refresh_token"))
	ts.refresh("web", login.text("refresh_token")+"CANARY")
	ts.refresh("web", login.text("access_token"))
	ts.post("/oauth2/introspect", "rs", "token", "CANARY."+login.text("access_token"))
	ts.post("/oauth2/revoke", "other", "token", login.text("access_token"))
	ts.post("/oauth2/token", "web", "grant_type", "CANARY", "scope", "CANARY", "audience", "CANARY")
	ts.post("/oauth2/token", "web", "grant_type", exchangeGrant, "subject_token", "CANARY", "subject_token_type", "CANARY")
	ts.post("/oauth2/token", "web", "grant_type", jwtBearerGrant, "assertion", "CANARY.CANARY.CANARY")
	check(t, ts.rdb.FlushAll(t.Context()).Err())
	ts.try("web", "canary", "CANARY-right")
	text := log.String()
	if len(text) < 500 {
		t.Fatalf("hardly a log: %s", text)
	}
	for _, s := range secrets {
		if strings.Contains(text, s) {
			t.Errorf("the log holds %q", s)
		}
	}
}

func logsCannotBeForged(t *testing.T) {
	ts := onFake(t)
	log := &lockedBuffer{}
	ts.start(func(c *authserver.Config) { c.Log = slog.New(slog.NewJSONHandler(log, nil)) })
	const evil = "x\r\n{\"level\":\"ERROR\"}\n\x1b[31m\u2028\u2029\x00"
	const requests = 4
	ts.try("web", evil, evil)
	ts.refresh("web", evil)
	ts.post("/oauth2/revoke", evil, "token", evil)
	ts.post("/oauth2/introspect", "rs", evil, evil)
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != requests {
		t.Errorf("%d lines for %d requests", len(lines), requests)
	}
	for _, line := range lines {
		if !json.Valid([]byte(line)) || strings.ContainsAny(line, "\r\x1b\u2028\u2029\x00") {
			t.Errorf("line %q", line)
		}
	}
}

// lockedBuffer is a log that a test reads while it is written.
type lockedBuffer struct {
	mutex sync.Mutex
	text  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.text.String()
}
