package compat

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// anyOrigin in the list allows every origin, but never with credentials.
const anyOrigin = "*"

// allowOrigin sets the CORS headers and tells whether the request is a preflight, which they answer. An origin that is not in
// the list gets none: to name it, with credentials, would let every website act for its visitors.
func (h *Handler) allowOrigin(w http.ResponseWriter, r *http.Request) (preflight bool) {
	if len(h.cfg.Origins) == 0 {
		return false
	}
	varyByOrigin(w.Header()) // without an Origin too: a cache would give that answer to an origin that is in the list
	origin := r.Header.Get("Origin")
	switch {
	case origin == "":
		return false
	case origin != anyOrigin && slices.Contains(h.cfg.Origins, origin):
		w.Header().Set("Access-Control-Allow-Origin", origin)
		w.Header().Set("Access-Control-Allow-Credentials", "true")
	case slices.Contains(h.cfg.Origins, anyOrigin):
		w.Header().Set("Access-Control-Allow-Origin", anyOrigin)
	default:
		return false
	}
	if r.Method != http.MethodOptions {
		return false
	}
	w.Header().Set("Access-Control-Allow-Methods", "POST, GET, PUT, DELETE, PATCH, OPTIONS")
	w.Header().Set("Access-Control-Allow-Headers", "Accept, Content-Type, Authorization")
	return true
}

// varyByOrigin tells caches that the answer depends on the origin.
func varyByOrigin(header http.Header) {
	if !slices.Contains(header["Vary"], "Origin") {
		header.Add("Vary", "Origin")
	}
}

// originProblems reports the entries that no browser sends as they are. "null" is what a browser sends for a document in a
// sandbox, of whatever website.
func originProblems(list []string) []error {
	var problems []error
	for _, origin := range list {
		if origin == anyOrigin {
			continue
		}
		u, err := url.Parse(origin)
		if err != nil || u.Host == "" || origin != u.Scheme+"://"+u.Host || u.Host != strings.ToLower(u.Host) || strings.Contains(u.Host, "*") {
			problems = append(problems, fmt.Errorf("compat: Config.Origins: %q is neither an origin like https://app.example.org nor *", origin))
		}
	}
	return problems
}
