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
	maxBody          = 256 << 10 // bytes; enough for the longest password with each byte escaped
	maxInProcessBody = 1 << 20   // bytes; Server.Token is called with what another API has read, which is larger as a form
	maxParameter     = 16 << 10  // bytes
	maxParameters    = 64
)

// unlimited are the parameters that may be as long as the body: a login with a long password, or for a long name, fails or
// succeeds like any other.
var unlimited = []string{"username", "password"}

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
	if err := readBody(w, r); err != nil {
		return nil, err
	}
	if len(r.PostForm) > maxParameters {
		return nil, invalidRequest("The body has too many parameters.")
	}
	for name, values := range r.PostForm {
		if len(values) > 1 && !slices.Contains(repeatable, name) || len(values) > maxParameters {
			return nil, invalidRequest("A parameter is included more than once.")
		}
		for _, value := range values {
			if len(value) > maxParameter && !slices.Contains(unlimited, name) || !utf8.ValidString(value) || !utf8.ValidString(name) {
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

// readBody reads the body into r.PostForm. The answer to one that is left unread ends the connection: it would otherwise wait for
// the rest.
func readBody(w http.ResponseWriter, r *http.Request) error {
	limit := int64(maxBody)
	if r.Context().Value(inProcessKey{}) != nil {
		limit = maxInProcessBody
	}
	err := error(&http.MaxBytesError{Limit: limit})
	if r.ContentLength <= limit {
		r.Body = http.MaxBytesReader(w, r.Body, limit)
		err = r.ParseForm()
	}
	var tooLarge *http.MaxBytesError
	switch {
	case err == nil:
		return nil
	case isUnavailable(err):
		w.Header().Set("Connection", "close")
		return err
	case errors.As(err, &tooLarge):
		w.Header().Set("Connection", "close")
		return &oauthError{Status: http.StatusRequestEntityTooLarge, Code: "invalid_request", Description: "The body is too large."}
	}
	return invalidRequest("The body is not well-formed.")
}
