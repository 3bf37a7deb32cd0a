package wiretest

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"strings"
)

// What varies from run to run. The recording has placeholders in its place.
var (
	jwtPattern  = regexp.MustCompile(`eyJ[\w-]+\.[\w-]+\.[\w-]*`)
	uuidPattern = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	timePattern = regexp.MustCompile(`\b1[6-9]\d{11}(\.\d+)?\b`)
)

// Scrub replaces what varies by the placeholders of the recording.
func Scrub(body string) string {
	s := jwtPattern.ReplaceAllString(body, "<JWT>")
	s = uuidPattern.ReplaceAllString(s, "<UUID>")
	return timePattern.ReplaceAllString(s, "<MS>")
}

// comparedHeaders are the headers that clients depend on.
var comparedHeaders = []string{
	"Content-Type", "Vary", "Access-Control-Allow-Origin", "Access-Control-Allow-Credentials",
	"Access-Control-Allow-Methods", "Access-Control-Allow-Headers",
}

// compare returns how an answer differs from the recorded one.
func compare(c Case, got answer) []string {
	var diffs []string
	if got.status != c.Expect.Status {
		diffs = append(diffs, fmt.Sprintf("status %d -> %d", c.Expect.Status, got.status))
	}
	if body := Scrub(string(got.body)); !c.Truncated && !SameBody(c.Expect.Body, body) {
		diffs = append(diffs, fmt.Sprintf("body %.200s -> %.200s", c.Expect.Body, body))
	}
	recorded := map[string]string{}
	for k, v := range c.Expect.Headers {
		recorded[strings.ToLower(k)] = v
	}
	for _, name := range comparedHeaders {
		want, have := recorded[strings.ToLower(name)], strings.Join(got.header.Values(name), ", ")
		if want != have {
			diffs = append(diffs, fmt.Sprintf("header %s: %q -> %q", name, want, have))
		}
	}
	return append(diffs, compareTokens(c, got.body)...)
}

// SameBody compares JSON without regard to the order of members, and everything else as text.
func SameBody(want, got string) bool {
	if want == got {
		return true
	}
	var a, b any
	return json.Unmarshal([]byte(want), &a) == nil && json.Unmarshal([]byte(got), &b) == nil && reflect.DeepEqual(a, b)
}

func compareTokens(c Case, body []byte) []string {
	var diffs []string
	var members map[string]any
	if json.Unmarshal(body, &members) != nil {
		return nil
	}
	for key, want := range c.Expect.JWT {
		token, ok := members[key].(string)
		if !ok {
			continue
		}
		got, err := decode(token)
		if err != nil {
			diffs = append(diffs, key+" is not a token")
			continue
		}
		diffs = append(diffs, compareParts(key+" header", want.Header, got.Header)...)
		issued, _ := got.Claims["iat"].(float64)
		expires, _ := got.Claims["exp"].(float64)
		got.Claims["exp"] = fmt.Sprintf("iat%+d", int64(expires-issued))
		got.Claims["iat"] = want.Claims["iat"]
		diffs = append(diffs, compareParts(key+" claim", want.Claims, got.Claims)...)
	}
	return diffs
}

func compareParts(label string, want, got map[string]any) []string {
	var diffs []string
	for name, value := range want {
		if !reflect.DeepEqual(got[name], value) {
			diffs = append(diffs, fmt.Sprintf("%s %s: %v -> %v", label, name, value, got[name]))
		}
	}
	return diffs
}
