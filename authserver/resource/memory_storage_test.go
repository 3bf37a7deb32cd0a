package resource_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"

	"github.com/opgrant/opgrant/authserver"
)

// memoryStorage is a Storage without a network, so that an authorization server can run in a synctest bubble. It has what
// logins, refreshes, introspection and revocation need.
type memoryStorage struct {
	oauth2.TokenRevocationStorage
	clients map[string]fosite.Client

	mutex    sync.Mutex
	sessions map[string]fosite.Requester // :: signature of a token → its session
	counter  int
}

var _ authserver.Storage = (*memoryStorage)(nil)

func (m *memoryStorage) GetClient(_ context.Context, id string) (fosite.Client, error) {
	if c, ok := m.clients[id]; ok {
		return c, nil
	}
	return nil, fosite.ErrNotFound
}

func (m *memoryStorage) OriginClients(_ context.Context, origin string) ([]string, error) {
	var ids []string
	for id, c := range m.clients {
		if client, ok := c.(authserver.Client); ok && slices.Contains(client.Policy().Origins, origin) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

func (m *memoryStorage) create(signature string, req fosite.Requester) error {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.sessions[signature] = req
	return nil
}

func (m *memoryStorage) get(signature string, into fosite.Session) (fosite.Requester, error) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	req, ok := m.sessions[signature]
	if !ok {
		return nil, fosite.ErrNotFound
	}
	found, _ := req.GetSession().(*authserver.Session)
	if s, ok := into.(*authserver.Session); ok && found != nil {
		*s = *found
	}
	return req, nil
}

func (m *memoryStorage) CreateAccessTokenSession(_ context.Context, signature string, req fosite.Requester) error {
	return m.create(signature, req)
}

func (m *memoryStorage) CreateRefreshTokenSession(_ context.Context, signature, _ string, req fosite.Requester) error {
	return m.create(signature, req)
}

func (m *memoryStorage) GetAccessTokenSession(_ context.Context, signature string, into fosite.Session) (fosite.Requester, error) {
	return m.get(signature, into)
}

func (m *memoryStorage) GetRefreshTokenSession(_ context.Context, signature string, into fosite.Session) (fosite.Requester, error) {
	return m.get(signature, into)
}

func (m *memoryStorage) RefreshSession(_ context.Context, token, access, refresh string, _ []byte, req fosite.Requester) ([]byte, error) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if m.sessions[token] == nil {
		return nil, fosite.ErrNotFound
	}
	m.sessions[access] = req
	if refresh != "" {
		delete(m.sessions, token)
		m.sessions[refresh] = req
	}
	return nil, nil
}

func (m *memoryStorage) RevokeSession(_ context.Context, id string) error {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	for signature, req := range m.sessions {
		if req.GetID() == id {
			delete(m.sessions, signature)
		}
	}
	return nil
}

func (m *memoryStorage) SessionID(string) string {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.counter++
	return strconv.Itoa(m.counter)
}

func (m *memoryStorage) DerivedSessionID(string) (string, bool) { return "", false }

func (m *memoryStorage) TokenOwner(_ context.Context, signature string, _ bool) (requestID, clientID string, err error) {
	req, err := m.get(signature, nil)
	if err != nil {
		return "", "", err
	}
	return req.GetID(), req.GetClient().GetID(), nil
}

func (m *memoryStorage) ImportedSessionID(_, token string) string { return m.TokenSignature("", token) }

func (m *memoryStorage) TokenSignature(session, token string) string {
	sum := sha256.Sum256([]byte(session + token))
	return hex.EncodeToString(sum[:])
}

func (m *memoryStorage) RefreshSignature(session, token string, _ uint32) string {
	return m.TokenSignature(session, token)
}

func (m *memoryStorage) NewRefreshToken(_ context.Context, session string, _ uint32) (token, signature string, err error) {
	token = session + "." + rand.Text()
	return token, m.TokenSignature(session, token), nil
}

func (m *memoryStorage) ParseRefreshToken(_ context.Context, token string) (session, signature string, _ uint32, err error) {
	session, _, _ = strings.Cut(token, ".")
	return session, m.TokenSignature(session, token), 0, nil
}

func (m *memoryStorage) BeginTX(ctx context.Context) (context.Context, error) { return ctx, nil }
func (m *memoryStorage) Commit(context.Context) error                         { return nil }
func (m *memoryStorage) Rollback(context.Context) error                       { return nil }

var errNotHere = errors.New("memoryStorage has no client assertions")

func (m *memoryStorage) ClientAssertionJWTValid(context.Context, string) error { return errNotHere }

func (m *memoryStorage) SetClientAssertionJWT(context.Context, string, time.Time) error {
	return errNotHere
}

// oneUser is alice.
type oneUser struct{}

func (oneUser) Login(_ context.Context, name, password, _ string) (string, error) {
	if name != "alice" || password != "wonder land" {
		return "", fosite.ErrNotFound
	}
	return name, nil
}

func (oneUser) Claims(context.Context, string) (map[string]any, error) { return nil, nil }

// memoryKeys is a key store without a network.
type memoryKeys struct {
	mutex    sync.Mutex
	document []byte
	revision int
}

func (m *memoryKeys) LoadKeys(context.Context) ([]byte, string, error) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if m.document == nil {
		return nil, "", nil
	}
	return m.document, strconv.Itoa(m.revision), nil
}

func (m *memoryKeys) SaveKeys(_ context.Context, document []byte, revision string) error {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if m.document != nil && revision != strconv.Itoa(m.revision) {
		return fosite.ErrSerializationFailure
	}
	m.document, m.revision = document, m.revision+1
	return nil
}
