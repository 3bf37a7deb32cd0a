package authserver

import (
	"errors"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	maxBody       = 64 << 10 // bytes
	maxParameter  = 16 << 10 // bytes
	maxParameters = 64
)

// sensitive parameters must not be in the URL, which ends up in logs and histories (RFC 6749 section 2.3.1).
var sensitive = []string{"client_id", "client_secret", "client_assertion", "password", "username", "refresh_token", "token", "subject_token", "assertion", "grant_type"}

// parseForm reads the body of a POST request: urlencoded, of bounded size, no parameter twice (RFC 6749 section 3.2). Empty
// parameters count as absent. fosite reads the result from r.PostForm.
func parseForm(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return nil, methodNotAllowed("The method must be POST.")
	}
	for _, name := range []string{"Authorization", "Content-Type"} {
		// RFC 9110 section 5.3: a sender must not repeat a field that is not a list. Which one counts would be a guess.
		if len(r.Header.Values(name)) > 1 {
			return nil, invalidRequest("The header " + name + " is included more than once.")
		}
	}
	kind, parameters, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, invalidRequest("The body must be application/x-www-form-urlencoded.")
	}
	// RFC 9110 section 8.3.2: the name of a charset is case-insensitive.
	if charset, ok := parameters["charset"]; ok && !strings.EqualFold(charset, "utf-8") && !strings.EqualFold(charset, "us-ascii") {
		return nil, invalidRequest("The body must be UTF-8.")
	}
	if r.URL.RawQuery != "" {
		query := r.URL.Query()
		for _, name := range sensitive {
			if query.Has(name) {
				return nil, invalidRequest("Parameters belong into the body, not into the URL.")
			}
		}
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if err := r.ParseForm(); err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return nil, &oauthError{Status: http.StatusRequestEntityTooLarge, Code: "invalid_request", Description: "The body is too large."}
		}
		return nil, invalidRequest("The body is not well-formed.")
	}
	if len(r.PostForm) > maxParameters {
		return nil, invalidRequest("The body has too many parameters.")
	}
	for name, values := range r.PostForm {
		if len(values) > 1 && !slices.Contains(repeatable, name) || len(values) > maxParameters {
			return nil, invalidRequest("A parameter is included more than once.")
		}
		for _, value := range values {
			if len(value) > maxParameter || !utf8.ValidString(value) || !utf8.ValidString(name) {
				return nil, invalidRequest("A parameter is malformed or too long.")
			}
		}
		values = slices.DeleteFunc(values, func(value string) bool { return value == "" })
		if r.PostForm[name] = values; len(values) == 0 {
			delete(r.PostForm, name)
		}
	}
	if len(r.PostForm) == 0 {
		return nil, invalidRequest("The body is empty.")
	}
	return r.PostForm, nil
}
