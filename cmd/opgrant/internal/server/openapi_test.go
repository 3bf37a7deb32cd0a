package server

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"github.com/opgrant/opgrant/config"
)

// described sends requests and compares them and their answers with the description.
type described struct {
	t      *testing.T
	url    string
	router routers.Router
	seen   map[string]bool // path and status
}

func describe(t *testing.T, url string) *described {
	t.Helper()
	_, text := get(t, url+"/openapi.yaml")
	document, err := openapi3.NewLoader().LoadFromData([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := document.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	router, err := gorillamux.NewRouter(document)
	if err != nil {
		t.Fatal(err)
	}
	return &described{t: t, url: url, router: router, seen: map[string]bool{}}
}

// send compares the answer with the description, and the request too if it succeeds, and returns the answer.
func (d *described) send(what string, r *http.Request, status int) string {
	d.t.Helper()
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		d.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	if resp.StatusCode != status {
		d.t.Errorf("%s: %d %.200s, want %d", what, resp.StatusCode, raw, status)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	route, parameters, err := d.router.FindRoute(r)
	if err != nil {
		d.t.Fatalf("%s: %v", what, err)
	}
	d.seen[route.Path+" "+fmt.Sprint(resp.StatusCode)] = true
	options := &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true, AuthenticationFunc: openapi3filter.NoopAuthenticationFunc}
	request := &openapi3filter.RequestValidationInput{Request: r, PathParams: parameters, Route: route, Options: options}
	if status < 300 {
		if err := openapi3filter.ValidateRequest(context.Background(), request); err != nil {
			d.t.Errorf("%s: the request is not as described: %v", what, err)
		}
	}
	header := resp.Header.Clone()
	if header.Get("Content-Type") == "" && resp.StatusCode == http.StatusUnauthorized {
		header.Set("Content-Type", "application/json") // as recorded, and as the description says in words
	}
	answer := &openapi3filter.ResponseValidationInput{RequestValidationInput: request, Status: resp.StatusCode, Header: header, Options: options}
	answer.SetBodyBytes(raw)
	if err := openapi3filter.ValidateResponse(context.Background(), answer); err != nil {
		d.t.Errorf("%s: the answer is not as described: %v\n%s", what, err, raw)
	}
	return string(raw)
}

func (d *described) request(method, path, contentType, authorization, body string) *http.Request {
	d.t.Helper()
	r, err := http.NewRequestWithContext(d.t.Context(), method, d.url+path, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	for name, value := range map[string]string{"Content-Type": contentType, "Authorization": authorization} {
		if value != "" {
			r.Header.Set(name, value)
		}
	}
	return r
}

// form sends a form to an OAuth endpoint, as the client demo unless credentials are given, and returns the members of the answer.
func (d *described) form(status int, path, authorization string, pairs ...string) map[string]any {
	d.t.Helper()
	values := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		values.Add(pairs[i], pairs[i+1])
	}
	if authorization == "" {
		authorization = basicAuth("demo", "demo-secret")
	}
	what := path + " " + strings.Join(pairs, " ")
	return decoded(d.send(what, d.request(http.MethodPost, path, "application/x-www-form-urlencoded", authorization, values.Encode()), status))
}

// operate sends an operation to the operations API.
func (d *described) operate(status int, authorization, body string) map[string]any {
	d.t.Helper()
	return decoded(d.send(body, d.request(http.MethodPost, "/", "application/json", authorization, body), status))
}

// Every answer of both APIs is as described, and every described answer occurs here.
func TestAnswersAreAsDescribed(t *testing.T) {
	url, fake := startServer(t, func(cfg *config.Config) { cfg.Throttle.PerUserNetwork, cfg.Throttle.PerClient = 5, 5 })
	d := describe(t, url)
	d.oauthEndpoints()
	d.operationsAPI()
	d.documents()
	d.throttled()
	if err := fake.Client(t).FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	d.outage()
	d.upstream()

	elsewhere := []string{
		"/.well-known/jwks.json 503", // the server of this test has its keys from the start
		"/ 408",                      // for a forwarded body that stops: TestForwardedBodiesHaveToMove
	}
	for _, path := range d.paths() {
		if !d.seen[path] && !slices.Contains(elsewhere, path) {
			t.Errorf("%s is described and did not occur", path)
		}
	}
}

// upstream meets an old server that is not there, and one that does not answer.
func (d *described) upstream() {
	d.t.Helper()
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then the end of the connection is noticed
		<-r.Context().Done()
	}))
	defer silent.Close()
	for address, status := range map[string]int{"http://127.0.0.1:1": http.StatusBadGateway, silent.URL: http.StatusGatewayTimeout} {
		d.url, _ = startServer(d.t, func(cfg *config.Config) {
			cfg.Compat.Upstream, cfg.Compat.UpstreamTimeout = address, 100*time.Millisecond
		})
		d.operate(status, basicAuth("HDB_ADMIN", "password"), `{"operation":"search_by_value"}`)
	}
}

// paths lists every answer that is described.
func (d *described) paths() []string {
	document, err := openapi3.NewLoader().LoadFromData(openAPIDocument)
	if err != nil {
		d.t.Fatal(err)
	}
	var list []string
	for path, item := range document.Paths.Map() {
		for _, operation := range item.Operations() {
			for status := range operation.Responses.Map() {
				list = append(list, path+" "+status)
			}
		}
	}
	return list
}
