package harper

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"strings"
)

// unexpected says what the server has answered instead of rows, and what that means.
func (s Source) unexpected(resp *http.Response, body []byte) error {
	var members map[string]json.RawMessage
	_ = json.Unmarshal(body, &members)
	text, isError := errorText(members)
	if isError && s.Password != "" && strings.Contains(text, s.Password) {
		text = ""
	}
	found := fmt.Sprintf("%d %q", resp.StatusCode, text)
	if !isError {
		found = fmt.Sprintf("%d with %s", resp.StatusCode, contentOf(resp, body))
	}
	switch {
	case resp.StatusCode == http.StatusUnauthorized && isError:
		return fmt.Errorf("the server refuses the name or the password of %q: %s", s.Username, found)
	case resp.StatusCode == http.StatusForbidden && isError:
		return fmt.Errorf("%q is not a super user there: %s", s.Username, found)
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		return fmt.Errorf("the server redirects to %s (%d): give the URL of the operations API itself", target(resp), resp.StatusCode)
	case isError, resp.StatusCode >= 500:
		return fmt.Errorf("the server answers %s", found)
	}
	return fmt.Errorf("not the URL of an operations API, which is / on port 9925 by default: the server answers %s", found)
}

// errorText returns the error that an answer of the operations API holds.
func errorText(members map[string]json.RawMessage) (string, bool) {
	const longest = 200
	var text string
	if json.Unmarshal(members["error"], &text) != nil || text == "" {
		return "", false
	}
	return text[:min(len(text), longest)], true
}

// target is where an answer redirects to, without a password in it.
func target(resp *http.Response) string {
	u, err := resp.Location()
	if err != nil {
		return "another URL"
	}
	return u.Redacted()
}

// contentOf names the kind of an answer.
func contentOf(resp *http.Response, body []byte) string {
	kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch {
	case len(body) == 0:
		return "an empty body"
	case err != nil:
		return "a body without a content type"
	case json.Valid(body):
		return "JSON that is not a list of rows"
	}
	return kind
}
