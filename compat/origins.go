package compat

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/rs/cors"
)

// anyOrigin in the list allows every origin, but never with credentials.
const anyOrigin = "*"

// browserRules are the rules (CORS) for pages of other origins: for listed ones with credentials, for others, if anyOrigin is in
// the list, without.
type browserRules struct {
	listed, others *cors.Cors // others is nil without anyOrigin
	origins        []string
}

// newBrowserRules returns nil for an empty list: no CORS headers are sent.
func newBrowserRules(origins []string) *browserRules {
	if len(origins) == 0 {
		return nil
	}
	rules := &browserRules{origins: origins}
	rules.listed = cors.New(cors.Options{
		AllowOriginVaryRequestFunc: func(_ *http.Request, origin string) (bool, []string) { return rules.lists(origin), nil },
		AllowCredentials:           true,
	})
	if slices.Contains(origins, anyOrigin) {
		rules.others = cors.New(cors.Options{AllowedOrigins: []string{anyOrigin}})
	}
	return rules
}

// lists tells whether an origin is in the list by its name. To name one that is not, with credentials, would let every website
// act for its visitors.
func (b *browserRules) lists(origin string) bool {
	return origin != anyOrigin && slices.Contains(b.origins, origin)
}

// allowOrigin sets the CORS headers and tells whether the request is a preflight, which they answer. An origin that is not in
// the list gets none.
func (h *Handler) allowOrigin(w http.ResponseWriter, r *http.Request) (preflight bool) {
	if h.browsers == nil {
		return false
	}
	rules, header := h.browsers.listed, w.Header()
	if h.browsers.others != nil && !h.browsers.lists(r.Header.Get("Origin")) {
		rules = h.browsers.others
	}
	// The recorded server allows the same methods and headers whatever a preflight asks for, and an OPTIONS with an Origin alone is
	// one. So the rules see a request that is not, and set what is in every answer. They set Vary without an Origin too: a cache
	// would give that answer to an origin that is in the list.
	rules.HandlerFunc(w, &http.Request{Method: http.MethodPost, Header: r.Header})
	if r.Method != http.MethodOptions || header.Get("Access-Control-Allow-Origin") == "" {
		return false
	}
	header.Set("Access-Control-Allow-Methods", "POST, GET, PUT, DELETE, PATCH, OPTIONS")
	header.Set("Access-Control-Allow-Headers", "Accept, Content-Type, Authorization")
	return true
}

// exposeRetryAfter lets a page that may read an answer read when to try again. The recorded server sends no such answers.
func exposeRetryAfter(header http.Header) {
	if header.Get("Access-Control-Allow-Origin") != "" {
		header.Set("Access-Control-Expose-Headers", "Retry-After")
	}
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
