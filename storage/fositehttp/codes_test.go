package fositehttp_test

import (
	"context"
	"net/http"
	"net/url"
	"sync"
	"testing"

	"github.com/ory/fosite"
	"github.com/ory/fosite/compose"

	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// newCodeStore returns a store with the client "app", which may use codes.
func newCodeStore(t *testing.T, server *storagetest.Server) *storage.Store {
	t.Helper()
	store := openStore(t, server, storage.Options{})
	app := &storage.Client{
		ID: "app", Secrets: []string{hashed}, Grants: []string{"authorization_code", "refresh_token"}, Scopes: []string{"read"},
		RedirectURIs: []string{callback},
	}
	if err := store.PutClient(t.Context(), app); err != nil {
		t.Fatal(err)
	}
	return store
}

func newStockProvider(store any) fosite.OAuth2Provider {
	return newProvider(fositeConfig(), store,
		compose.OAuth2AuthorizeExplicitFactory, compose.OAuth2PKCEFactory, compose.PushedAuthorizeHandlerFactory)
}

const verifier = "a-verifier-that-is-at-least-forty-three-characters-long"

// authorize returns the request that redeems a code which the authorization endpoint has issued.
func authorize(t *testing.T, h http.Handler) url.Values {
	t.Helper()
	a := call(h, http.MethodGet, "/authorize", "", authorization("redirect_uri", callback,
		"code_challenge", "fHqnnK8JVGn9Act2vp52KGPBGNKHlxFsjRMgelmsfzI", "code_challenge_method", "S256"))
	to, err := url.Parse(a.header.Get("Location"))
	if err != nil || to.Query().Get("code") == "" {
		t.Fatalf("no code: %d %q %s", a.Status, a.header.Get("Location"), a.body)
	}
	return url.Values{
		"grant_type": {"authorization_code"}, "code": {to.Query().Get("code")}, "redirect_uri": {callback}, "code_verifier": {verifier},
	}
}

// together lets two requests come as far as their commit before either commits.
type together struct {
	*storage.Store
	both *sync.WaitGroup
}

func (s together) Commit(ctx context.Context) error {
	s.both.Done()
	s.both.Wait()
	return s.Store.Commit(ctx)
}

// Of two redemptions of a code that come at the same time, one has lost.
func TestConcurrentRedemptions(t *testing.T) {
	store := newCodeStore(t, storagetest.StartRedis(t, storagetest.Options{}))
	race := func(helped bool) (winner, loser answer) {
		form := authorize(t, endpoints(newStockProvider(store), helped))
		var both sync.WaitGroup
		both.Add(2)
		h := endpoints(newStockProvider(together{store, &both}), helped)
		answers := make(chan answer, 2)
		for range 2 {
			go func() { answers <- post(h, "/token", "basic", form) }()
		}
		winner, loser = <-answers, <-answers
		if loser.Status == http.StatusOK {
			winner, loser = loser, winner
		}
		return winner, loser
	}
	if won, lost := race(false); won.Status != 200 || lost.Status != 500 || lost.Error != "server_error" {
		t.Errorf("stock fosite answers %d %s and %d %s, want server_error", won.Status, won.body, lost.Status, lost.body)
	}
	won, lost := race(true)
	if won.Status != 200 {
		t.Errorf("winner: %d %s", won.Status, won.body)
	}
	checkInvalidGrant(t, lost)
}

// The store is down at each step of the code grant.
func TestOutageOfCodes(t *testing.T) {
	server := storagetest.StartRedis(t, storagetest.Options{})
	store := newCodeStore(t, server)
	p := newStockProvider(store)
	stock, helped := endpoints(p, false), endpoints(p, true)
	pushed := post(helped, "/par", "basic", authorization("redirect_uri", callback))
	redemption := authorize(t, helped)
	if pushed.Status != http.StatusCreated {
		t.Fatalf("PAR: %d %s", pushed.Status, pushed.body)
	}
	server.Kill()
	for _, r := range []struct {
		name, method, path, as string
		form                   url.Values
		status                 int // of stock fosite
		error                  string
		redirects              bool
	}{
		{"PAR", http.MethodPost, "/par", "basic", authorization("redirect_uri", callback), 500, "server_error", false},
		{"authorization", http.MethodGet, "/authorize", "", authorization("redirect_uri", callback), 303, "server_error", true},
		{
			"authorization of a pushed request", http.MethodGet, "/authorize", "",
			url.Values{"client_id": {"app"}, "request_uri": {pushed.text("request_uri")}},
			400, "invalid_request_uri", false,
		},
		{"redemption", http.MethodPost, "/token", "basic", redemption, 500, "server_error", false},
	} {
		t.Run(r.name, func(t *testing.T) {
			if a := call(stock, r.method, r.path, r.as, r.form); a.Status != r.status || a.Error != r.error {
				t.Errorf("stock fosite answers %d %s %s, want %d %s", a.Status, a.Error, a.body, r.status, r.error)
			}
			a := call(helped, r.method, r.path, r.as, r.form)
			if !r.redirects {
				checkUnavailable(t, a)
			} else if a.Status != 303 || a.Error != "temporarily_unavailable" {
				t.Errorf("answer %d %s", a.Status, a.header.Get("Location"))
			}
		})
	}
}
