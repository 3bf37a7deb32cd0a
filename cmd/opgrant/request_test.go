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

// requestMain is the scripts' HTTP client. It prints the body on standard output, status and headers on standard error,
// and fails when the status is not the expected one. With -until it asks again until it is, for that long at most.
//
//	request [-status N] [-until D] [-user ID:SECRET] [-bearer TOKEN] [-json BODY | -form KEY=VALUE…] URL
func requestMain() {
	status := flag.Int("status", 200, "")
	until := flag.Duration("until", 0, "")
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
	for end := time.Now().Add(*until); ; time.Sleep(100 * time.Millisecond) {
		response, answer = do(r)
		if response.StatusCode == *status || !time.Now().Before(end) {
			break
		}
	}
	fmt.Fprintln(os.Stderr, response.Status)
	exitOn(response.Header.Write(os.Stderr))
	fmt.Println(string(answer))
	if response.StatusCode != *status {
		exitOn(fmt.Errorf("status %d, want %d", response.StatusCode, *status))
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
