package storagetest_test

import (
	"context"
	"maps"
	"testing"

	"github.com/ory/fosite"
	"github.com/ory/fosite/storage"

	"github.com/opgrant/opgrant/storage/storagetest"
)

// noMode keeps a pushed request as any other, without what only an authorization request has.
type noMode struct{ memory }

func (m noMode) GetPARSession(ctx context.Context, uri string) (fosite.AuthorizeRequester, error) {
	req, err := m.memory.GetPARSession(ctx, uri)
	if err != nil {
		return nil, err
	}
	plain := fosite.NewAuthorizeRequest()
	plain.Merge(req)
	plain.RedirectURI, plain.ResponseTypes = req.GetRedirectURI(), req.GetResponseTypes()
	return plain, nil
}

// cleansCaller removes the client's secret from the form of the caller, who still needs it.
type cleansCaller struct{ memory }

func (m cleansCaller) CreatePARSession(ctx context.Context, uri string, req fosite.AuthorizeRequester) error {
	req.GetRequestForm().Del("client_secret")
	return m.memory.CreatePARSession(ctx, uri, req)
}

// oneLook removes a pushed request when it is read.
type oneLook struct{ memory }

func (m oneLook) GetPARSession(ctx context.Context, uri string) (fosite.AuthorizeRequester, error) {
	defer func() { _ = m.DeletePARSession(ctx, uri) }()
	return m.memory.GetPARSession(ctx, uri)
}

// hidesSecrets keeps the client's credentials and leaves them out of what it returns.
type hidesSecrets struct{ memory }

func (m hidesSecrets) GetPARSession(ctx context.Context, uri string) (fosite.AuthorizeRequester, error) {
	req, err := m.memory.GetPARSession(ctx, uri)
	if err != nil {
		return nil, err
	}
	shown := *req.(*fosite.AuthorizeRequest)
	shown.Form = maps.Clone(shown.Form)
	shown.Form.Del("client_secret")
	shown.Form.Del("client_assertion")
	return &shown, nil
}

func (m hidesSecrets) records() ([]string, error) {
	var records []string
	for uri, req := range m.PARSessions {
		records = append(records, uri+" "+req.GetRequestForm().Encode())
	}
	return records, nil
}

func TestSuiteFindsCredentialsInRecords(t *testing.T) {
	mustFail(t, "credentials are stored and not shown", []string{"par/the client's credentials are not kept"}, func(*testing.T) storagetest.Fixture {
		m := hidesSecrets{memory{storage.NewMemoryStore()}}
		f := memoryFixture(m.MemoryStore, m)
		f.Leftovers = m.records
		return f
	})
}

func TestSuiteFindsMistakesInPushedRequests(t *testing.T) {
	memoryMutants{
		"a pushed request without state and response mode": {
			func(s memory) revocable { return noMode{s} },
			[]string{"par/what was stored comes back", "par/fosite continues it once"},
		},
		"the caller's form is cleaned": {
			func(s memory) revocable { return cleansCaller{s} },
			[]string{"par/the caller's request is not changed"},
		},
		"a pushed request is read once": {
			func(s memory) revocable { return oneLook{s} },
			[]string{"par/what was stored comes back"},
		},
	}.mustFail(t)
}
