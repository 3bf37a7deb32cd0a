package main

import (
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// requestMain is the HTTP client of the scripts. It prints the body on standard output, and status and headers on standard error.
// It fails when the status is not the expected one. With -until it tries again for that time; with -within a slow answer fails.
//
//	request [-status N] [-within D] [-until D] [-user ID:SECRET] [-bearer TOKEN] [-json BODY | -form KEY=VALUE…] URL
func requestMain() {
	status := flag.Int("status", 200, "")
	until := flag.Duration("until", 0, "")
	within := flag.Duration("within", 0, "")
	user := flag.String("user", "", "")
	bearer := flag.String("bearer", "", "")
	body := flag.String("json", "", "")
	form := url.Values{}
	flag.Func("form", "", func(pair string) error {
		key, value, _ := strings.Cut(pair, "=")
		form.Add(key, value)
		return nil
	})
	flag.Parse()

	method, kind, content := http.MethodGet, "", ""
	switch {
	case *body != "":
		method, kind, content = http.MethodPost, "application/json", *body
	case len(form) > 0:
		method, kind, content = http.MethodPost, "application/x-www-form-urlencoded", form.Encode()
	}
	r, err := http.NewRequest(method, flag.Arg(0), strings.NewReader(content))
	exitOn(err)
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	if id, secret, ok := strings.Cut(*user, ":"); ok {
		r.SetBasicAuth(id, secret)
	}
	if *bearer != "" {
		r.Header.Set("Authorization", "Bearer "+*bearer)
	}
	var response *http.Response
	var answer []byte
	var took time.Duration
	for end := time.Now().Add(*until); ; time.Sleep(100 * time.Millisecond) {
		start := time.Now()
		response, answer = do(r)
		took = time.Since(start)
		if response.StatusCode == *status && (*within == 0 || took <= *within) || !time.Now().Before(end) {
			break
		}
	}
	fmt.Fprintln(os.Stderr, response.Status)
	exitOn(response.Header.Write(os.Stderr))
	fmt.Println(string(answer))
	if response.StatusCode != *status {
		exitOn(fmt.Errorf("status %d, want %d", response.StatusCode, *status))
	}
	if *within > 0 && took > *within {
		exitOn(fmt.Errorf("took %s, want at most %s", took, *within))
	}
}

func do(r *http.Request) (*http.Response, []byte) {
	if r.GetBody != nil {
		body, err := r.GetBody()
		exitOn(err)
		r.Body = body
	}
	response, err := (&http.Client{Timeout: 30 * time.Second}).Do(r)
	exitOn(err)
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	exitOn(err)
	return response, answer
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "request:", err)
		os.Exit(1)
	}
}
