package fositehttp_test

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/compose"
	fositestorage "github.com/ory/fosite/storage"

	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
	"github.com/opgrant/opgrant/storage/throttle"
)

// meeting lets two refreshes read the token before either of them rotates it.
type meeting struct {
	stockStore
	both *sync.WaitGroup
}

func (m meeting) GetRefreshTokenSession(ctx context.Context, signature string, into fosite.Session) (fosite.Requester, error) {
	req, err := m.stockStore.GetRefreshTokenSession(ctx, signature, into)
	m.both.Done()
	m.both.Wait()
	return req, err
}

// Of two refreshes with one token one has lost. fosite tells it to retry, which would end the session of the other.
func TestConcurrentRefreshes(t *testing.T) {
	for name, grace := range map[string]time.Duration{"without a grace": 0, "with a grace": 10 * time.Second} {
		t.Run(name, func(t *testing.T) {
			server := storagetest.StartRedis(t, storagetest.Options{})
			newStore(t, server)
			store := stockStore{Store: openStore(t, server, storage.Options{Grace: grace})}
			race := func(helped bool) (loser answer) {
				login := post(endpoints(newProvider(fositeConfig(), store), true), "/token", "basic", passwordGrant)
				var both sync.WaitGroup
				both.Add(2)
				h := endpoints(newProvider(fositeConfig(), meeting{store, &both}), helped)
				answers := make(chan answer, 2)
				for range 2 {
					go func() { answers <- post(h, "/token", "basic", refreshGrant(login.text("refresh_token"))) }()
				}
				winner, loser := <-answers, <-answers
				if loser.Status == http.StatusOK {
					winner, loser = loser, winner
				}
				if winner.Status != http.StatusOK {
					t.Fatalf("nobody won: %d %s, %d %s", winner.Status, winner.body, loser.Status, loser.body)
				}
				return loser
			}
			if a := race(false); a.Status != 400 || a.Error != "invalid_request" {
				t.Errorf("stock fosite answers %d %s, want invalid_request", a.Status, a.body)
			}
			checkInvalidGrant(t, race(true))
		})
	}
}

func checkInvalidGrant(t *testing.T, a answer) {
	t.Helper()
	if a.Status != 400 || a.Error != "invalid_grant" || a.text("error_description") != fosite.ErrInvalidGrant.DescriptionField {
		t.Errorf("answer %d %s, want invalid_grant", a.Status, a.body)
	}
	if a.header.Get("Retry-After") != "" {
		t.Errorf("Retry-After %q", a.header.Get("Retry-After"))
	}
}

// ending ends the session between the look-up of its refresh token and the rotation.
type ending struct{ stockStore }

func (e ending) RotateRefreshToken(ctx context.Context, id, signature string) error {
	if err := e.RevokeSession(context.WithoutCancel(ctx), id); err != nil {
		return err
	}
	return e.stockStore.RotateRefreshToken(ctx, id, signature)
}

func (e ending) BeginTX(ctx context.Context) (context.Context, error) { return ctx, nil }
func (e ending) Commit(context.Context) error                         { return nil }
func (e ending) Rollback(context.Context) error                       { return nil }

func TestSessionEndsDuringARefresh(t *testing.T) {
	store := stockStore{Store: newStore(t, storagetest.StartRedis(t, storagetest.Options{}))}
	refresh := func(helped bool) answer {
		login := post(endpoints(newProvider(fositeConfig(), store), true), "/token", "basic", passwordGrant)
		h := endpoints(newProvider(fositeConfig(), ending{store}), helped)
		return post(h, "/token", "basic", refreshGrant(login.text("refresh_token")))
	}
	if a := refresh(false); a.Status != 400 || a.Error != "invalid_request" {
		t.Errorf("stock fosite answers %d %s, want invalid_request", a.Status, a.body)
	}
	checkInvalidGrant(t, refresh(true))
}

// lateCodes are codes that another request uses, or that end, before this one can.
type lateCodes struct {
	*fositestorage.MemoryStore
	err error
}

func (c lateCodes) InvalidateAuthorizeCodeSession(context.Context, string) error { return c.err }

func TestCodeIsLostToAnotherRequest(t *testing.T) {
	for name, err := range map[string]error{
		"used": fosite.ErrInvalidatedAuthorizeCode, "a race": fosite.ErrSerializationFailure, "expired": fosite.ErrNotFound,
	} {
		t.Run(name, func(t *testing.T) {
			memory := newMemory()
			p := newProvider(fositeConfig(), lateCodes{memory, err}, compose.OAuth2AuthorizeExplicitFactory)
			if a := post(endpoints(p, false), "/token", "basic", codeGrant(t, memory)); a.Status != 500 || a.Error != "server_error" {
				t.Errorf("stock fosite answers %d %s, want server_error", a.Status, a.body)
			}
			checkInvalidGrant(t, post(endpoints(p, true), "/token", "basic", codeGrant(t, memory)))
		})
	}
}

// A login that is refused before its password is compared is not an error of the server.
func TestTooManyWrongPasswords(t *testing.T) {
	server := storagetest.StartRedis(t, storagetest.Options{})
	newStore(t, server)
	p := newProvider(fositeConfig(), stockStore{
		Store: openStore(t, server, storage.Options{Throttle: throttle.Limits{PerUser: 2, PerUserNetwork: 2}}),
	})
	stock, helped := endpoints(p, false), endpoints(p, true)
	wrong := url.Values{"grant_type": {"password"}, "username": {"alice"}, "password": {"looking-glass"}}
	var a answer
	for range 10 {
		if a = post(stock, "/token", "basic", wrong); a.Error != "invalid_grant" {
			break
		}
	}
	if a.Status != 500 || a.Error != "server_error" {
		t.Errorf("stock fosite answers %d %s, want server_error", a.Status, a.body)
	}
	a = post(helped, "/token", "basic", wrong)
	if wait, err := strconv.Atoi(a.header.Get("Retry-After")); err != nil || wait < 1 || a.Status != 429 || a.Error != "temporarily_unavailable" {
		t.Errorf("answer %d %s, Retry-After %q; want 429", a.Status, a.body, a.header.Get("Retry-After"))
	}
}
