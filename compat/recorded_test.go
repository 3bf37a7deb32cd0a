package compat_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/opgrant/opgrant/compat"
)

func TestExpiresIn(t *testing.T) {
	tests := map[string]string{ // :: expires_in → seconds, empty if it is refused
		`60`: "60", `-5`: "-5", `1e3`: "1000", `1.0`: "1", `1.5`: "",
		`"60"`: "0", `"5000"`: "5", `"-1"`: "-1", `"999ms"`: "0", `"2 days"`: "172800", `"1.5h"`: "5400", `".5m"`: "30", `"1Y"`: "31557600",
		`"2 WEEKS"`: "1209600", `"3 mins"`: "180", `"1 milliseconds"`: "0", `"10 secs"`: "10", `"1 hr"`: "3600", `"1  h"`: "3600",
		`"1 month"`: "", `"1h 30m"`: "", `" 1h"`: "", `"h"`: "", `"5."`: "", `"` + strings.Repeat("9", 101) + `"`: "", `"99999999999999999999y"`: "",
	}
	for given, want := range tests {
		var sent string
		h, err := compat.New(compat.Config{Token: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			sent = r.PostFormValue("expires_in")
			_, _ = w.Write([]byte(`{"access_token":"x"}`))
		})})
		if err != nil {
			t.Fatal(err)
		}
		w := post(h, `{"operation":"create_authentication_tokens","username":"a","password":"b","expires_in":`+given+`}`)
		if sent != want || (w.Code == 200) != (want != "") {
			t.Errorf("%s: sent %q, want %q, %d %s", given, sent, want, w.Code, w.Body)
		}
	}
}

func TestContentTypes(t *testing.T) {
	tests := map[string]int{ // :: Content-Type → status
		"application/json": 401, "application/json;charset=utf-8": 401, `application/json; charset="utf-8"; a=b`: 401, "Application/JSON-patch+json": 401,
		"application/json;": 415, "application/json; a": 415, "application": 415, "application/json,application/json": 415, "text/json": 415,
		"multipart/form-data; boundary=x": 415, "application/cbor": 415, "text/plain": 400, "": 415,
	}
	h := newDirectory(t).handler(t, nil)
	for contentType, want := range tests {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(`{"operation":"user_info"}`))
		r.Header["Content-Type"] = []string{contentType}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%q: %d %s, want %d", contentType, w.Code, w.Body, want)
		}
		if contentType == "" && w.Body.String() != `{"error":"Unsupported Media Type: undefined"}` {
			t.Errorf("an empty content type: %s", w.Body)
		}
	}
}

func TestAccept(t *testing.T) {
	tests := map[string]bool{ // :: Accept → accepted
		"application/json": true, "text/html, */*;q=0.1": true, "TEXT/CSV": true, "application/json; q=0.5": true, "image/png,": true,
		"text/html": false, "application/*": false, "*": false, "application/json;q=0": false, "application/json;q=x": false,
	}
	h := newDirectory(t).handler(t, nil)
	for accept, want := range tests {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(`{"operation":"user_info"}`))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if got := w.Code != http.StatusNotAcceptable; got != want {
			t.Errorf("%q: %d", accept, w.Code)
		}
	}
}
