package authserver

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/rs/cors"
)

// clientAnswers are the rules (CORS) for the endpoints that clients send forms to. A page of another origin reads an answer if
// the client of the request lists that origin, which allowOrigin finds out. There are no cookies, so that no browser sends
// anything by itself, and none is ever allowed to.
var clientAnswers = cors.New(cors.Options{
	AllowOriginVaryRequestFunc: func(r *http.Request, _ string) (bool, []string) {
		return r.Context().Value(originAllowedKey{}) != nil, nil
	},
	AllowedMethods: []string{http.MethodPost},
	AllowedHeaders: []string{"Accept", "Authorization", "Content-Type"},
	ExposedHeaders: []string{"Retry-After", "WWW-Authenticate"},
	MaxAge:         preflightMaxAge,
})

// publicDocuments are the rules for documents that every origin may read, because they have no secrets and need no credentials.
var publicDocuments = cors.New(cors.Options{
	AllowedOrigins: []string{"*"},
	AllowedMethods: []string{http.MethodGet, http.MethodHead},
	AllowedHeaders: []string{"*"},
	MaxAge:         preflightMaxAge,
})

const (
	// preflightMaxAge is how long browsers remember that an origin is allowed, in seconds. They do not remember refusals.
	preflightMaxAge = 60
	// corsPatience bounds the look for the client when the store has just failed to answer.
	corsPatience = 100 * time.Millisecond
)

// originAllowedKey marks the context of a request whose origin may read the answer.
type originAllowedKey struct{}

// withPreflight answers preflights (Fetch Standard, section "CORS-preflight request"), which do not name the client: an origin
// is allowed if any client lists it. Where none does, OPTIONS is a method like others that are not allowed.
func (s *Server) withPreflight(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodOptions {
			h(w, r)
			return
		}
		if isPreflight(r) {
			listing, err := s.config.Storage.OriginClients(r.Context(), r.Header.Get("Origin"))
			if err != nil {
				w.Header().Set("Vary", "Origin")
				s.writeError(w, r, err)
				return
			}
			if len(listing) > 0 {
				clientAnswers.HandlerFunc(w, allowed(r))
				return
			}
		}
		w.Header().Set("Vary", "Origin")
		h(w, r)
	}
}

// public lets every origin read the answers of a handler. The header is there without an Origin too, so that one answer in a
// cache is right for all.
func public(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodOptions && isPreflight(r) {
			publicDocuments.HandlerFunc(w, r)
			return
		}
		w.Header().Set("Access-Control-Allow-Origin", "*")
		h(w, r)
	}
}

func isPreflight(r *http.Request) bool {
	return len(r.Header["Origin"]) == 1 && r.Header.Get("Access-Control-Request-Method") != ""
}

func allowed(r *http.Request) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), originAllowedKey{}, true))
}

// allowOrigin lets a page read the answer to its request, which failed with err or succeeded, if the client that the request
// names lists the page's origin. An answer to a request that names no client is not readable.
func (s *Server) allowOrigin(w http.ResponseWriter, r *http.Request, err error) {
	if r.Method == http.MethodOptions || w.Header()["Access-Control-Allow-Origin"] != nil { // decided by withPreflight or public
		return
	}
	if origin := r.Header["Origin"]; len(origin) == 1 && s.clientLists(r, origin[0], err) {
		r = allowed(r)
	}
	clientAnswers.HandlerFunc(w, r)
}

// clientLists tells whether the client that a request names lists the origin. While the store does not answer, the list that was
// known last counts: a page that cannot read a 503 cannot know that it should try again.
func (s *Server) clientLists(r *http.Request, origin string, failure error) bool {
	id := namedClient(r)
	if id == "" {
		return false
	}
	ctx := r.Context()
	if isUnavailable(failure) {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, corsPatience)
		defer cancel()
	}
	client, err := s.client(ctx, id)
	if err == nil {
		return slices.Contains(client.Policy().Origins, origin)
	}
	if !isUnavailable(err) {
		return false
	}
	listing, err := s.config.Storage.OriginClients(ctx, origin)
	return err == nil && slices.Contains(listing, id)
}

// namedClient returns the ID of the client that a request claims to be from, proved or not, empty if it names none or several.
func namedClient(r *http.Request) string {
	if len(r.PostForm["client_id"]) > 1 || len(r.Header["Authorization"]) > 1 {
		return ""
	}
	c, err := readCredentials(r, r.PostForm)
	if err != nil {
		return ""
	}
	if c.id == "" && c.assertion != "" {
		c.id, _ = assertionIssuer(c.assertion)
	}
	return c.id
}
