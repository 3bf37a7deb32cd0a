package server

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opgrant/opgrant/config"
)

// arrival is one request that has reached the upstream.
type arrival struct {
	method, uri, host string
	header            http.Header
	trailer           http.Header
	body              string
	complete          bool // the body was not cut off
}

// recordingUpstream is an old server that records everything which reaches it.
type recordingUpstream struct {
	*httptest.Server
	reply map[string]http.HandlerFunc // :: request ID → answer; nil: 200

	mu       sync.Mutex
	arrivals map[string][]arrival // :: request ID → what came
}

func startRecording(t *testing.T) *recordingUpstream {
	t.Helper()
	u := &recordingUpstream{reply: map[string]http.HandlerFunc{}, arrivals: map[string][]arrival{}}
	u.Server = httptest.NewServer(u)
	return u
}

func (u *recordingUpstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	a := arrival{r.Method, r.RequestURI, r.Host, r.Header, r.Trailer, string(body), err == nil}
	id := r.Header.Get("X-Request-Id")
	u.mu.Lock()
	u.arrivals[id] = append(u.arrivals[id], a)
	u.mu.Unlock()
	if reply := u.reply[id]; reply != nil {
		reply(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Add("Set-Cookie", "127_0.0.1:9925-hdb-session=1b671a64; Path=/; HttpOnly")
	w.Header().Add("Set-Cookie", "other=1")
	_, _ = io.WriteString(w, `{"message":"done"}`)
}

// rawRequest is the text of one HTTP request.
func rawRequest(start string, headers []string, body string) string {
	return start + "\r\n" + strings.Join(headers, "\r\n") + "\r\n\r\n" + body
}

// rawPost is a POST of JSON. Headers with the name of one that is sent anyway replace it.
func rawPost(body string, headers ...string) string {
	return rawPostTo("/", body, headers...)
}

func rawPostTo(target, body string, headers ...string) string {
	all := headers
	for _, standard := range []string{"Host: auth.example", "Content-Type: application/json", fmt.Sprintf("Content-Length: %d", len(body))} {
		name, _, _ := strings.Cut(standard, ":")
		replaced := slices.ContainsFunc(headers, func(h string) bool {
			return strings.HasPrefix(strings.ToLower(h), strings.ToLower(name)) ||
				name == "Content-Length" && strings.HasPrefix(strings.ToLower(h), "transfer-encoding: chunked")
		})
		if !replaced {
			all = append(slices.Clone(all), standard)
		}
	}
	return rawRequest("POST "+target+" HTTP/1.1", all, body)
}

// sendRaw sends bytes, behind them a last request that ends the connection, and returns everything that is answered: when the
// connection ends, each request on it has been served.
func sendRaw(t *testing.T, address, raw string) string {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute)) // a hang is a failure
	go func() {
		_, _ = io.WriteString(conn, raw+"GET /livez HTTP/1.1\r\nHost: auth.example\r\nConnection: close\r\n\r\n")
	}()
	var answers bytes.Buffer
	_, err = io.Copy(&answers, conn)
	if timeout, ok := err.(net.Error); ok && timeout.Timeout() { //nolint:errorlint // as net returns it
		t.Errorf("no answer to %.200q", raw)
	}
	return answers.String()
}

// firstStatus is the status of the first final answer.
func firstStatus(answers string) string {
	for {
		line, rest, _ := strings.Cut(answers, "\r\n")
		fields := strings.Fields(line)
		if len(fields) < 2 {
			return ""
		}
		if fields[1] != "100" {
			return fields[1]
		}
		_, answers, _ = strings.Cut(rest, "\r\n")
	}
}

// boundary is a server in front of a recording upstream, and the credentials of its users.
type boundary struct {
	upstream *recordingUpstream
	address  string
	url      string
	known    *strings.Replacer // :: {NAME} → credentials
	values   map[string]string
}

// startBoundary starts the program with users whose credentials are good, and others whose are not any more.
func startBoundary(t *testing.T, change func(*config.Config)) *boundary {
	t.Helper()
	b := &boundary{upstream: startRecording(t)}
	b.url, _ = startServer(t, func(c *config.Config) {
		c.Compat.Upstream = b.upstream.URL
		c.Compat.Origins = []string{"https://app.example"}
		change(c)
	})
	b.address = strings.TrimPrefix(b.url, "http://")
	admin := basicAuth("HDB_ADMIN", "password")
	b.operate(t, admin, `{"operation":"add_role","role":"staff","permission":{"super_user":false}}`)
	for _, name := range []string{"alice", "carol", "dora", "drew", "erin"} {
		b.operate(t, admin, `{"operation":"add_user","username":"`+name+`","password":"`+name+`pw","role":"staff","active":true}`)
	}
	create := func(name, more string) (operation, refresh string) {
		var tokens struct {
			Operation string `json:"operation_token"`
			Refresh   string `json:"refresh_token"`
		}
		body := b.operate(t, "", `{"operation":"create_authentication_tokens","username":"`+name+`","password":"`+name+`pw"`+more+`}`)
		if err := json.Unmarshal(body, &tokens); err != nil {
			t.Fatal(err)
		}
		return tokens.Operation, tokens.Refresh
	}
	alice, refresh := create("alice", "")
	ended, _ := create("erin", "")
	expired, _ := create("alice", `,"expires_in":"1s"`)
	time.Sleep(1100 * time.Millisecond)
	role, _ := create("alice", `,"role":"staff"`)
	b.operate(t, admin, `{"operation":"alter_user","username":"erin","password":"another"}`)
	b.operate(t, admin, `{"operation":"alter_user","username":"carol","password":"another"}`)
	b.operate(t, admin, `{"operation":"alter_user","username":"dora","active":false}`)
	b.operate(t, admin, `{"operation":"drop_user","username":"drew"}`)
	part := strings.Split(alice, ".")
	b.values = map[string]string{
		"{ADMIN}": admin, "{ALICE}": "Bearer " + alice, "{ALICE_BASIC}": basicAuth("alice", "alicepw"), "{REFRESH}": "Bearer " + refresh,
		"{ENDED}": "Bearer " + ended, "{EXPIRED}": "Bearer " + expired, "{ROLE}": "Bearer " + role, "{STANDARD}": "Bearer " + b.standardToken(t),
		"{UNSIGNED}": "Bearer eyJhbGciOiJub25lIn0." + part[1] + ".", "{ALTERED}": "Bearer " + part[0] + "." + part[1] + "x." + part[2],
		"{DISABLED}": basicAuth("dora", "dorapw"), "{DROPPED}": basicAuth("drew", "drewpw"), "{CHANGED}": basicAuth("carol", "carolpw"),
		"{ACCOUNT}": basicAuth("service", "servicepw"), "{EMPTY}": basicAuth("", ""),
		"{COOKIE}": "Cookie: 127_0.0.1:9925-hdb-session=1b671a64",
	}
	var pairs []string
	for name, value := range b.values {
		pairs = append(pairs, name, value)
	}
	b.known = strings.NewReplacer(pairs...)
	return b
}

// operate sends an operation that has to succeed.
func (b *boundary) operate(t *testing.T, authorization, body string) []byte {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %s %v", body, response.Status, answer, err)
	}
	return answer
}

// standardToken is an access token of a super user for other services.
func (b *boundary) standardToken(t *testing.T) string {
	t.Helper()
	response, err := http.PostForm(b.url+"/oauth2/token", url.Values{
		"grant_type": {"password"}, "username": {"HDB_ADMIN"}, "password": {"password"}, "client_id": {"demo"}, "client_secret": {"demo-secret"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var token struct {
		Access string `json:"access_token"`
	}
	if err := json.NewDecoder(response.Body).Decode(&token); err != nil || token.Access == "" {
		t.Fatalf("%s %v", response.Status, err)
	}
	return token.Access
}

// boundaryHeaders are the headers that a forwarded request may have. Cookie and Origin are for a server with cookies.
var boundaryHeaders = []string{
	"Accept", "Accept-Encoding", "Authorization", "Content-Length", "Content-Type", "Cookie", "Origin", "Traceparent", "User-Agent",
	"X-Forwarded-For", "X-Request-Id",
}

// judge compares what has arrived with what should have: each request with exactly these credentials, and nothing else of the
// caller's header.
func (b *boundary) judge(t *testing.T, row hostileRequest) {
	t.Helper()
	got := b.upstream.arrivals[row.name]
	if row.cutOff && len(got) == 1 && !got[0].complete && got[0].header.Get("Authorization") == b.values["{ADMIN}"] {
		got = nil // the upstream cannot run what it has not received
	}
	if len(got) != len(row.arrives) {
		t.Errorf("%d requests have arrived, want %d: %+v", len(got), len(row.arrives), got)
		return
	}
	for i, a := range got {
		credentials, cookie, _ := strings.Cut(row.arrives[i], " ")
		var want []string
		if credentials != "login" {
			want = []string{b.values[credentials]}
		}
		if !slices.Equal(a.header.Values("Authorization"), want) {
			t.Errorf("Authorization %q, want %q", a.header.Values("Authorization"), want)
		}
		if got := strings.Join(a.header.Values("Cookie"), "; "); got != cookie {
			t.Errorf("Cookie %q, want %q", got, cookie)
		}
		for name := range a.header {
			if !slices.Contains(boundaryHeaders, name) {
				t.Errorf("header %s", name)
			}
		}
		if a.host != b.upstream.Listener.Addr().String() || a.uri != cmp.Or(row.uri, "/") || len(a.trailer) > 0 || !a.complete {
			t.Errorf("host %s, URI %s, trailers %v, complete %t", a.host, a.uri, a.trailer, a.complete)
		}
		if got := a.header.Values("X-Forwarded-For"); !slices.Equal(got, []string{"127.0.0.1"}) {
			t.Errorf("X-Forwarded-For %q", got)
		}
		if row.body != "" && a.body != row.body {
			t.Errorf("body %s, want %s", a.body, row.body)
		}
	}
}
