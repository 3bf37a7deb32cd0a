package authserver_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/authserver/policy"
	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// chainClient is a client of the chains. Each chain has its own set, with random policies.
type chainClient struct {
	*storage.Client
	secret string
}

var (
	chainScopes  = []string{"a", "b", "c", "d"}
	chainTargets = []string{"https://one.example", "https://two.example", "https://three.example", "https://as.example"}
)

// chain is one random run: logins, refreshes, exchanges and narrowing by some clients, while users are demoted and suspended
// and tokens and sessions are revoked.
type chain struct {
	t       *testing.T
	number  int
	random  *rand.Rand
	store   *storage.Store
	server  *authserver.Server
	inside  http.Handler // the token endpoint for handlers of the same process
	users   []*modelUser
	clients []chainClient
	tokens  []*modelToken
	history []string
	counts  map[string]int
}

// TestRandomChainsNeverWiden runs random chains of grants, and lets a model judge each answer: no token may have a right that
// not all its ancestors and the user's present record have, none may outlive or survive what it was made from, and none may
// end for another reason. OPGRANT_TEST_CHAINS sets their number: 10000 take about two minutes on two cores.
func TestRandomChainsNeverWiden(t *testing.T) {
	chains := 150
	if text := os.Getenv("OPGRANT_TEST_CHAINS"); text != "" {
		var err error
		chains, err = strconv.Atoi(text)
		check(t, err)
	}
	start := storagetest.StartMiniredis
	if _, err := exec.LookPath("redis-server"); err == nil {
		start = storagetest.StartInstance // it is faster
	}
	store, set := newStore(t, start(t).Client(t))
	ctx := t.Context()
	for role, super := range map[string]bool{"super_user": true, "reader": false} {
		_, err := store.Users.AddRole(ctx, storage.Role{ID: role, Permission: json.RawMessage(fmt.Sprintf(`{"super_user":%v}`, super))})
		check(t, err)
	}
	server, err := authserver.New(authserver.Config{
		Issuer: "https://as.example", Storage: store, Users: store.Users, Keys: set, Log: slog.New(slog.DiscardHandler),
	})
	check(t, err)
	putIntrospector(t, store)

	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("OPGRANT_TEST_SEED"); text != "" {
		seed, err = strconv.ParseUint(text, 10, 64)
		check(t, err)
	}
	var (
		mutex sync.Mutex
		total = map[string]int{}
		group sync.WaitGroup
		next  = make(chan int)
	)
	for range runtime.GOMAXPROCS(0) * 2 {
		group.Go(func() {
			for number := range next {
				c := &chain{
					t: t, number: number, random: rand.New(rand.NewPCG(seed, uint64(number))), store: store, server: server, inside: server.Token(),
					counts: map[string]int{},
				}
				c.run()
				mutex.Lock()
				for what, n := range c.counts {
					total[what] += n
				}
				mutex.Unlock()
			}
		})
	}
	for number := range chains {
		if t.Failed() {
			break
		}
		next <- number
	}
	close(next)
	group.Wait()
	t.Logf("seed %d: %d chains, %v", seed, chains, total)
	for _, what := range []string{"login", "refresh", "exchange", "exchange of an exchanged token", "refused exchange", "active", "inactive", "demoted", "suspended"} {
		if total[what] == 0 {
			t.Errorf("no %s in %d chains: the test shows nothing", what, chains)
		}
	}
}

func putIntrospector(t *testing.T, store *storage.Store) {
	t.Helper()
	hash, err := authserver.Secrets{}.Hash(t.Context(), []byte("rs-secret"))
	check(t, err)
	check(t, store.PutClient(t.Context(), &storage.Client{ID: "rs", Secrets: []string{string(hash)}, Introspect: true}))
}

func (c *chain) run() {
	c.setUp()
	steps := []func(){
		c.login, c.login, c.refresh, c.refresh, c.refresh, c.exchange, c.exchange, c.exchange, c.exchange,
		c.changeRole, c.suspend, c.revokeToken, c.endSessionsOfUser, c.endSessionsOfClient,
	}
	c.login()
	for range 4 + c.random.IntN(14) {
		steps[c.random.IntN(len(steps))]()
		if c.random.IntN(3) == 0 {
			c.judge()
		}
	}
	c.judge()
}

func (c *chain) setUp() {
	ctx := c.t.Context()
	for i := range 2 {
		u := &modelUser{name: fmt.Sprintf("user-%d-%d", c.number, i), super: i == 0, active: true}
		check(c.t, c.store.Users.AddUser(ctx, storage.User{Name: u.name, Role: roleOf(u.super), Active: true}, "a right password"))
		c.users = append(c.users, u)
	}
	var ids []string
	for i := range 4 {
		ids = append(ids, fmt.Sprintf("client-%d-%d", c.number, i))
	}
	for i, id := range ids {
		grace := storage.Duration(0)
		client := &storage.Client{
			ID: id, Grants: []string{policy.GrantPassword, policy.GrantRefreshToken, policy.GrantTokenExchange},
			Algorithm: policy.EdDSA, Grace: &grace,
			Scopes: c.some(chainScopes), Audience: c.some(chainTargets), ExchangeFrom: c.some(ids),
		}
		if c.random.IntN(2) == 0 {
			client.Default = c.some(client.Scopes)
		}
		if i == 0 || c.random.IntN(4) == 0 {
			client.Profile, client.Algorithm, client.Refresh = policy.ProfileLegacy, "", policy.RefreshStatic
			if c.random.IntN(2) == 0 {
				client.Scopes, client.Default = nil, nil
			}
			client.Public = c.random.IntN(2) == 0
		} else if c.random.IntN(3) == 0 {
			client.Refresh = policy.RefreshStatic
		}
		if c.random.IntN(3) == 0 {
			client.AccessTTL = storage.Duration(time.Duration(1+c.random.IntN(100)) * time.Hour)
		}
		if !client.Public {
			hash, _ := authserver.Secrets{}.Hash(ctx, []byte(id))
			client.Secrets = []string{string(hash)}
		}
		check(c.t, c.store.PutClient(ctx, client))
		c.clients = append(c.clients, chainClient{Client: client, secret: id})
	}
}

func roleOf(super bool) string {
	if super {
		return "super_user"
	}
	return "reader"
}

// some returns a random part of a list, which may be empty.
func (c *chain) some(list []string) []string {
	part := []string{}
	for _, s := range list {
		if c.random.IntN(2) == 0 {
			part = append(part, s)
		}
	}
	return part
}

func pick[T any](c *chain, list []T) T { return list[c.random.IntN(len(list))] }

// request sends a token request as a client and returns what was issued, nil where it was refused. The model decides
// elsewhere whether it had to be. Any other answer than those two fails the test.
func (c *chain) request(what string, client chainClient, form url.Values) map[string]any {
	handler := http.Handler(c.server)
	if client.Public {
		handler = c.inside
		form.Set("client_id", client.ID)
	}
	status, body := c.post(handler, "/oauth2/token", client, form)
	c.history = append(c.history, fmt.Sprintf("%s at %s %v: %d %v", what, client.ID, redacted(form), status, body["error"]))
	if status != http.StatusOK && status != http.StatusBadRequest {
		c.fail("%s: %d %v", what, status, body)
	}
	if status != http.StatusOK {
		return nil
	}
	return body
}

func redacted(form url.Values) string {
	shown := url.Values{}
	for name, values := range form {
		if !strings.HasSuffix(name, "token") {
			shown[name] = values
		}
	}
	return shown.Encode()
}

func (c *chain) post(handler http.Handler, path string, client chainClient, form url.Values) (int, map[string]any) {
	r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", formType)
	if !client.Public {
		r.SetBasicAuth(client.ID, client.secret)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w.Code, decode(w.Body.Bytes())
}

func (c *chain) fail(format string, args ...any) {
	c.t.Helper()
	c.t.Errorf("chain %d: %s\n  %s", c.number, fmt.Sprintf(format, args...), strings.Join(c.history, "\n  "))
}

func (c *chain) login() {
	client, user := pick(c, c.clients), pick(c, c.users)
	form := url.Values{"grant_type": {"password"}, "username": {user.name}, "password": {"a right password"}}
	asked := c.ask(form)
	before := time.Now().Unix()
	body := c.request("login", client, form)
	switch {
	case body == nil && user.active && within(asked.scopes, nonNil(client.Scopes)) && within(asked.targets, nonNil(client.Audience)):
		c.fail("a login of %s was refused", user.name)
	case body != nil && !user.active:
		c.fail("a login of the suspended user %s", user.name)
	case body != nil:
		c.counts["login"]++
		limits := modelToken{scopes: client.Scopes, audience: c.audienceOf(client), login: before + 5}
		if client.Profile == policy.ProfileLegacy && len(client.Scopes) == 0 {
			limits.scopes = nil
		}
		c.issued(&modelSession{client: client, user: user}, limits, asked, body)
	}
}

// nonNil returns a list that limits, though it is empty.
func nonNil(list []string) []string { return append([]string{}, list...) }

type asked struct{ scopes, targets []string }

// ask adds random scopes and targets to a request.
func (c *chain) ask(form url.Values) asked {
	var a asked
	if c.random.IntN(4) == 0 {
		a.scopes = c.some(chainScopes)
		form.Set("scope", strings.Join(a.scopes, " "))
	}
	if c.random.IntN(4) == 0 {
		a.targets = c.some(chainTargets)
		form["resource"] = a.targets
	}
	return a
}

// audienceOf returns what tokens of a client may be for: nil where nothing says, as in the legacy profile.
func (c *chain) audienceOf(client chainClient) []string {
	if client.Profile == policy.ProfileLegacy {
		return nil
	}
	return append([]string{"https://as.example"}, client.Audience...)
}

// issued adds the tokens of a response to the model. limits are the most that they may have.
func (c *chain) issued(session *modelSession, limits modelToken, asked asked, body map[string]any) {
	access := limits
	access.raw, access.session, access.refresh, access.revoked = body["access_token"].(string), session, false, false
	if len(asked.scopes) > 0 {
		access.scopes = asked.scopes
	}
	if len(asked.targets) > 0 {
		access.audience, access.targeted = asked.targets, true
	}
	c.tokens = append(c.tokens, &access)
	if raw, ok := body["refresh_token"].(string); ok {
		refresh := limits
		refresh.raw, refresh.session, refresh.refresh = raw, session, true
		if session.current == nil {
			// The first one of a session was granted what was asked for.
			refresh.scopes, refresh.audience, refresh.targeted = access.scopes, access.audience, access.targeted
		} else {
			refresh.scopes, refresh.audience, refresh.targeted = session.current.scopes, session.current.audience, session.current.targeted
		}
		session.current = &refresh
		c.tokens = append(c.tokens, &refresh)
	}
}

func (c *chain) pickToken(refresh bool) *modelToken {
	var list []*modelToken
	for _, t := range c.tokens {
		if !refresh || t.refresh {
			list = append(list, t)
		}
	}
	if len(list) == 0 {
		return nil
	}
	return pick(c, list)
}

func (c *chain) refresh() {
	token := c.pickToken(true)
	if token == nil {
		return
	}
	client := token.session.client
	if c.random.IntN(8) == 0 {
		client = pick(c, c.clients)
	}
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token.raw}}
	var asked asked
	if token.session.current == token { // a request that is refused for its scope does not use up the token
		asked = c.ask(form)
	}
	own, live := client.ID == token.session.client.ID, token.live()
	body := c.request("refresh", client, form)
	switch {
	case body != nil && (!own || !live):
		c.fail("a refresh with a token that is not valid, own %v, live %v", own, live)
	case body != nil && (!within(asked.scopes, token.scopes) || !within(asked.scopes, nonNil(client.Scopes))):
		c.fail("a refresh widened the scope")
	case body != nil:
		c.counts["refresh"]++
		c.issued(token.session, *token, asked, body)
	case own && live && len(asked.scopes) == 0 && len(asked.targets) == 0:
		c.fail("a valid refresh was refused")
	case own && token.session.live() && token.session.current != token:
		token.session.ended = true // it was used before
	}
}

func (c *chain) exchange() {
	token := c.pickToken(false)
	if token == nil {
		return
	}
	client := pick(c, c.clients)
	for range 6 { // most of them between clients that may
		if token.live() && slices.Contains(client.ExchangeFrom, token.session.client.ID) {
			break
		}
		token, client = c.pickToken(false), pick(c, c.clients)
	}
	kind := typeAccess
	if token.refresh {
		kind = typeRefresh
	}
	form := url.Values{"grant_type": {exchangeGrant}, "subject_token": {token.raw}, "subject_token_type": {kind}}
	asked := c.ask(form)
	source := token.session.client.ID
	takes := slices.Contains(client.ExchangeFrom, source) || client.Profile == policy.ProfileLegacy && client.ID == source
	live := token.live()
	body := c.request("exchange of a token of "+source, client, form)
	switch {
	case body == nil && live && takes && len(asked.scopes) == 0 && len(asked.targets) == 0 && depth(token) < 4 && !token.targeted:
		c.fail("an exchange that asks for nothing was refused")
	case body == nil:
		c.counts["refused exchange"]++
	case !live || !takes:
		c.fail("an exchange of a token of %s that is not valid or not taken: live %v, takes %v", source, live, takes)
	default:
		if token.session.madeOf != nil {
			c.counts["exchange of an exchanged token"]++
		}
		c.counts["exchange"]++
		limits := *token
		if limits.scopes == nil {
			limits.scopes = client.Scopes
			if client.Profile == policy.ProfileLegacy && len(client.Scopes) == 0 {
				limits.scopes = nil
			}
		}
		if limits.audience == nil {
			limits.audience = c.audienceOf(client)
		}
		if !within(asked.scopes, limits.scopes) || !within(asked.targets, limits.audience) {
			c.fail("an exchange widened scope or audience: %v, had %v and %v", asked, limits.scopes, limits.audience)
		}
		c.issued(&modelSession{client: client, user: token.session.user, madeOf: token}, limits, asked, body)
	}
}

// depth is the number of exchanges that a token was made by.
func depth(t *modelToken) int {
	if t.session.madeOf == nil {
		return 0
	}
	return 1 + depth(t.session.madeOf)
}

func (c *chain) changeRole() {
	user := pick(c, c.users)
	user.super = !user.super
	role := roleOf(user.super)
	check(c.t, c.store.Users.ChangeUser(c.t.Context(), user.name, storage.UserChange{Role: &role}))
	c.history = append(c.history, "role of "+user.name+" is "+role)
	c.counts["demoted"]++
}

func (c *chain) suspend() {
	user := pick(c, c.users)
	user.active = !user.active
	check(c.t, c.store.Users.ChangeUser(c.t.Context(), user.name, storage.UserChange{Active: &user.active}))
	c.history = append(c.history, fmt.Sprintf("%s active: %v", user.name, user.active))
	c.counts["suspended"]++
}

func (c *chain) revokeToken() {
	token := c.pickToken(false)
	if token == nil {
		return
	}
	client := token.session.client
	if c.random.IntN(4) == 0 {
		client = pick(c, c.clients)
	}
	form := url.Values{"token": {token.raw}}
	if client.Public {
		form.Set("client_id", client.ID)
	}
	status, body := c.post(c.server, "/oauth2/revoke", client, form)
	c.history = append(c.history, fmt.Sprintf("revocation of a token of %s at %s: %d %v", token.session.client.ID, client.ID, status, body["error"]))
	if status != http.StatusOK && (client.ID == token.session.client.ID || status != http.StatusBadRequest) {
		c.fail("revocation: %d %v", status, body)
	}
	if client.ID != token.session.client.ID {
		return
	}
	if !token.refresh {
		token.revoked = true
		return
	}
	token.session.ended = true
}

func (c *chain) endSessionsOfUser() {
	user := pick(c, c.users)
	c.history = append(c.history, "sessions of "+user.name+" ended")
	if c.random.IntN(2) == 0 {
		password := "a right password"
		check(c.t, c.store.Users.ChangeUser(c.t.Context(), user.name, storage.UserChange{Password: &password}))
	} else {
		check(c.t, c.store.RevokeSubject(c.t.Context(), user.name))
	}
	for _, t := range c.tokens {
		t.session.ended = t.session.ended || t.session.user == user
	}
}

func (c *chain) endSessionsOfClient() {
	client := pick(c, c.clients)
	c.history = append(c.history, "sessions of "+client.ID+" ended")
	_, err := c.store.RevokeClient(c.t.Context(), client.ID)
	check(c.t, err)
	for _, t := range c.tokens {
		t.session.ended = t.session.ended || t.session.client.ID == client.ID
	}
}

// judge asks the server about every token of the chain, and the model about every answer.
func (c *chain) judge() {
	rs := chainClient{Client: &storage.Client{ID: "rs"}, secret: "rs-secret"}
	for i, token := range c.tokens {
		asker := rs
		if token.refresh {
			if asker = token.session.client; asker.Public {
				continue // a public client may not introspect
			}
		}
		status, body := c.post(c.server, "/oauth2/introspect", asker, url.Values{"token": {token.raw}})
		if status != http.StatusOK {
			c.fail("introspection of token %d: %d %v", i, status, body)
			return
		}
		if body["active"] != token.live() {
			c.fail("token %d of %s, refresh %v: active %v, the model says %v", i, token.session.client.ID, token.refresh, body["active"], token.live())
			return
		}
		if body["active"] != true {
			c.counts["inactive"]++
			continue
		}
		c.counts["active"]++
		c.judgeRights(i, token, body)
	}
}

func (c *chain) judgeRights(i int, token *modelToken, body map[string]any) {
	scope, _ := body["scope"].(string)
	if !within(strings.Fields(scope), token.scopes) {
		c.fail("token %d has scope %q, at most %v", i, scope, token.scopes)
	}
	var audience []string
	switch aud := body["aud"].(type) {
	case string:
		audience = []string{aud}
	case []any:
		for _, a := range aud {
			audience = append(audience, a.(string))
		}
	}
	if !within(audience, token.audience) {
		c.fail("token %d is for %v, at most %v", i, audience, token.audience)
	}
	if body["sub"] != token.session.user.name {
		c.fail("token %d is of %v, not of %s", i, body["sub"], token.session.user.name)
	}
	if body["super_user"] == true && !token.session.user.super {
		c.fail("token %d has super_user, and %s is none", i, token.session.user.name)
	}
	expires := time.Unix(int64(body["exp"].(float64)), 0)
	if parent := token.session.madeOf; parent != nil && !parent.expires.IsZero() && expires.After(parent.expires) {
		c.fail("token %d expires %s, what it was made from %s", i, expires, parent.expires)
	}
	token.expires = expires
	if at, ok := body["auth_time"].(float64); ok && int64(at) > token.login {
		c.fail("token %d says login at %v, after %d", i, at, token.login)
	}
}
