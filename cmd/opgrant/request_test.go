package main

import (
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// request is the HTTP client of the scripts. Its standard output is the body, its standard error the status and the headers. It
// fails when the status is not the expected one. With -until it tries again for that time; with -within a slow answer fails.
//
//	request [-status N] [-within D] [-until D] [-user ID:SECRET] [-bearer TOKEN] [-json BODY | -form KEY=VALUE…] URL
func request(ts *testscript.TestScript, _ bool, args []string) {
	flags := flag.NewFlagSet("request", flag.ContinueOnError)
	status := flags.Int("status", 200, "")
	until := flags.Duration("until", 0, "")
	within := flags.Duration("within", 0, "")
	user := flags.String("user", "", "")
	bearer := flags.String("bearer", "", "")
	body := flags.String("json", "", "")
	form := url.Values{}
	flags.Func("form", "", func(pair string) error {
		key, value, _ := strings.Cut(pair, "=")
		form.Add(key, value)
		return nil
	})
	ts.Check(flags.Parse(args))

	method, kind, content := http.MethodGet, "", ""
	switch {
	case *body != "":
		method, kind, content = http.MethodPost, "application/json", *body
	case len(form) > 0:
		method, kind, content = http.MethodPost, "application/x-www-form-urlencoded", form.Encode()
	}
	r, err := http.NewRequest(method, flags.Arg(0), strings.NewReader(content))
	ts.Check(err)
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	if id, secret, ok := strings.Cut(*user, ":"); ok {
		r.SetBasicAuth(id, secret)
	}
	if *bearer != "" {
		r.Header.Set("Authorization", "Bearer "+*bearer)
	}
	var last exchange
	for end := time.Now().Add(*until); ; time.Sleep(100 * time.Millisecond) {
		last, err = send(r)
		ts.Check(err)
		if last.status == *status && (*within == 0 || last.took <= *within) || !time.Now().Before(end) {
			break
		}
	}
	fmt.Fprintln(ts.Stderr(), last.status, http.StatusText(last.status))
	ts.Check(last.header.Write(ts.Stderr()))
	fmt.Fprintln(ts.Stdout(), last.body)
	if last.status != *status {
		ts.Fatalf("status %d, want %d: %s", last.status, *status, last.body)
	}
	if *within > 0 && last.took > *within {
		ts.Fatalf("took %s, want at most %s", last.took, *within)
	}
}

// exchange is an answer and how long it took.
type exchange struct {
	status int
	header http.Header
	body   string
	took   time.Duration
}

// oneRequest makes a connection for each request, as a client that is started for it would.
var oneRequest = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

func send(r *http.Request) (exchange, error) {
	body, err := r.GetBody()
	if err != nil {
		return exchange{}, err
	}
	r.Body = body
	start := time.Now()
	response, err := oneRequest.Do(r)
	if err != nil {
		return exchange{}, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	return exchange{status: response.StatusCode, header: response.Header, body: string(answer), took: time.Since(start)}, err
}
