package faults_test

import (
	"context"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"
	"github.com/ory/fosite/token/hmac"
	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/storage"
)

const (
	accessTTL, refreshTTL = time.Hour, 30 * 24 * time.Hour
	keyID                 = "oEqUv55iI-d_HKK154eQd9pVNWOe3SS8JfLX52LdDxY" // as keys have them
)

var agents = []string{"python-requests/2.31.0", "axios/1.7.2", "Go-http-client/1.1", "okhttp/4.12.0", "curl/8.5.0"}

func userName(i int) string { return fmt.Sprintf("user-%06d@example.com", i) }

// cameFrom is where a session was opened.
type cameFrom struct{ address, agent string }

func (c cameFrom) Origin() (address, userAgent string) { return c.address, c.agent }

func originOf(i int) cameFrom {
	return cameFrom{fmt.Sprintf("198.51.%d.%d", i/250%250, i%250), agents[i%len(agents)]}
}

// fromSomewhere is a session with an address, which package authserver takes from the request.
type fromSomewhere struct {
	*authserver.Session
	from cameFrom
}

func (s fromSomewhere) Origin() (address, userAgent string) { return s.from.Origin() }

// native makes sessions as package authserver does, which names each by its ID and each token by Signature.
type native struct {
	store  *storage.Store
	client *storage.Client
	ids    []string
}

func nativeSessions(t *testing.T, rdb redis.UniversalClient, n int, client *storage.Client) *native {
	t.Helper()
	s := &native{newStore(t, rdb, storage.Options{}), client, make([]string, n)}
	if err := s.store.PutClient(t.Context(), client); err != nil {
		t.Fatal(err)
	}
	return s
}

// request returns the request as the server stores it.
func (s *native) request(i int) *fosite.Request {
	now := time.Now()
	session := &authserver.Session{
		Subject: userName(i), LoggedIn: now.Unix(), AccessExpires: now.Add(accessTTL).Unix(), RefreshExpires: now.Add(refreshTTL).Unix(),
	}
	if s.client.Policy().Legacy() {
		session.Key = [6]byte{1, 2, 3, 4, 5, 6} // of a key's ID
	}
	r := fosite.NewRequest()
	r.ID, r.Client = s.ids[i], s.client
	if !s.client.Policy().Legacy() { // whose tokens name no scopes
		r.GrantedScope, r.RequestedScope = fosite.Arguments{"read", "write"}, fosite.Arguments{"read", "write"}
	}
	r.Session = fromSomewhere{session, originOf(i)}
	return r
}

func (s *native) open(ctx context.Context, i int) error {
	s.ids[i] = storage.NewSessionID(userName(i))
	return login(ctx, s.store, storage.Signature(s.ids[i], "access 0"), refreshName(s.ids[i], 0), s.request(i))
}

func (s *native) rotate(ctx context.Context, i, number int) error {
	id := s.ids[i]
	_, err := s.store.RefreshSession(ctx, refreshName(id, number-1), storage.Signature(id, fmt.Sprint("access ", number)),
		refreshName(id, number), nil, s.request(i))
	return err
}

// refreshName is the signature of a session's refresh token after a number of rotations.
func refreshName(id string, rotations int) string {
	return storage.RefreshSignature(id, fmt.Sprint("refresh ", rotations), uint32(rotations)+1)
}

// stock makes sessions by fosite's own handlers with HMAC tokens: the store knows neither their IDs nor their signatures.
type stock struct {
	store   *storage.Store
	client  fosite.Client
	login   *oauth2.ResourceOwnerPasswordCredentialsGrantHandler
	refresh *oauth2.RefreshTokenGrantHandler
	tokens  []string // the refresh tokens
}

// stockSession is a session of a fosite server: fosite's own with an origin.
type stockSession struct {
	fosite.DefaultSession
	cameFrom
}

// Clone implements fosite.Session.
func (s *stockSession) Clone() fosite.Session {
	return &stockSession{*s.DefaultSession.Clone().(*fosite.DefaultSession), s.cameFrom}
}

func stockSessions(t *testing.T, rdb redis.UniversalClient, n int) population {
	t.Helper()
	config := &fosite.Config{
		GlobalSecret: []byte("a secret of thirty-two characters"), AccessTokenLifespan: accessTTL, RefreshTokenLifespan: refreshTTL,
		RefreshTokenScopes: []string{}, ScopeStrategy: fosite.ExactScopeStrategy, AudienceMatchingStrategy: fosite.DefaultAudienceMatchingStrategy,
	}
	strategy := oauth2.NewHMACSHAStrategy(&hmac.HMACStrategy{Config: config}, config)
	client := &storage.Client{ID: "dashboard", Public: true, Grants: []string{"password", "refresh_token"}, Scopes: []string{"read", "write"}}
	store := newStore(t, rdb, storage.Options{})
	if err := store.PutClient(t.Context(), client); err != nil {
		t.Fatal(err)
	}
	s := &stock{store: store, client: client, tokens: make([]string, n)}
	s.login = &oauth2.ResourceOwnerPasswordCredentialsGrantHandler{
		HandleHelper: &oauth2.HandleHelper{AccessTokenStrategy: strategy, AccessTokenStorage: store, Config: config},
		ResourceOwnerPasswordCredentialsGrantStorage: store, RefreshTokenStrategy: strategy, Config: config,
	}
	s.refresh = &oauth2.RefreshTokenGrantHandler{
		AccessTokenStrategy: strategy, RefreshTokenStrategy: strategy, TokenRevocationStorage: store, Config: config,
	}
	return population{open: s.open, rotate: s.rotate, part: ownPart}
}

func (s *stock) request(i int, grant string) *fosite.AccessRequest {
	req := fosite.NewAccessRequest(&stockSession{cameFrom: originOf(i)})
	req.Client, req.GrantTypes, req.Form = s.client, fosite.Arguments{grant}, url.Values{"grant_type": {grant}}
	return req
}

// open does what follows once the password is verified.
func (s *stock) open(ctx context.Context, i int) error {
	req, resp := s.request(i, "password"), fosite.NewAccessResponse()
	req.Session.(*stockSession).Subject = userName(i)
	req.Session.SetExpiresAt(fosite.AccessToken, time.Now().Add(accessTTL))
	req.Session.SetExpiresAt(fosite.RefreshToken, time.Now().Add(refreshTTL))
	req.GrantedScope, req.RequestedScope = fosite.Arguments{"read", "write"}, fosite.Arguments{"read", "write"}
	err := s.login.PopulateTokenEndpointResponse(ctx, req, resp)
	s.tokens[i], _ = resp.GetExtra("refresh_token").(string)
	return err
}

func (s *stock) rotate(ctx context.Context, i, _ int) error {
	req, resp := s.request(i, "refresh_token"), fosite.NewAccessResponse()
	req.Form.Set("refresh_token", s.tokens[i])
	if err := s.refresh.HandleTokenEndpointRequest(ctx, req); err != nil {
		return err
	}
	err := s.refresh.PopulateTokenEndpointResponse(ctx, req, resp)
	s.tokens[i], _ = resp.GetExtra("refresh_token").(string)
	return err
}
