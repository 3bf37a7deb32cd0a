package resource

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// requestTimeout bounds a request to the authorization server, whatever timeout the HTTP client has.
const requestTimeout = 5 * time.Second

// maxKeySet bounds the size of a key set, in bytes.
const maxKeySet = 1 << 20

// keySet caches the public keys of the authorization server. Libraries such as keyfunc do that too, but they do not tell a
// key that does not exist (401) from a server that does not answer (503).
type keySet struct {
	config Config

	mutex   sync.Mutex
	current *keys
	waiting *fetch    // begins KeysEvery after the last one
	running *fetch    // the last one, until it is done
	last    time.Time // when the last one began
	failed  error     // the error of the last one
}

// keys is the key set of one fetch.
type keys struct {
	list      []jose.JSONWebKey
	requested time.Time
}

// fetch is one request for the key set that several callers wait for.
type fetch struct {
	done chan struct{}
	keys *keys
	err  error
}

func newKeySet(config Config) *keySet { return &keySet{config: config} }

// recent returns the keys to verify with. They are at most KeysFresh old, and are fetched again in the background from half that
// age on: a key that the authorization server has withdrawn is not used for longer. Only while keys cannot be fetched, older ones
// are used, until KeysStale.
func (s *keySet) recent(ctx context.Context) (*keys, error) {
	s.mutex.Lock()
	current := s.current
	if current == nil {
		return s.fetched(ctx)
	}
	switch age := s.config.Now().Sub(current.requested); {
	case age >= s.config.KeysStale:
		return s.fetched(ctx)
	case age >= s.config.KeysFresh && !s.failing():
		if found, err := s.fetched(ctx); err == nil || ctx.Err() != nil {
			return found, err
		}
		return current, nil
	case age >= s.config.KeysFresh/2:
		s.next()
	}
	s.mutex.Unlock()
	return current, nil
}

// failing tells whether the last fetch has failed, just now: then requests do not wait for the next one. The caller holds the
// mutex.
func (s *keySet) failing() bool {
	return s.failed != nil && s.config.Now().Sub(s.last) < s.config.KeysEvery+requestTimeout
}

// newer returns a key set that was requested after the one that was tried.
func (s *keySet) newer(ctx context.Context, tried *keys) (*keys, error) {
	s.mutex.Lock()
	if s.current != nil && s.current.requested.After(tried.requested) {
		defer s.mutex.Unlock()
		return s.current, nil
	}
	if f := s.running; f != nil {
		s.mutex.Unlock()
		return f.wait(ctx)
	}
	return s.fetched(ctx)
}

// fetched waits for the next fetch. Within KeysEvery of a failed fetch it returns the error of that one at once. The caller
// holds the mutex, and fetched releases it.
func (s *keySet) fetched(ctx context.Context) (*keys, error) {
	if s.failed != nil && s.config.Now().Sub(s.last) < s.config.KeysEvery {
		defer s.mutex.Unlock()
		return nil, s.failed
	}
	f := s.next()
	s.mutex.Unlock()
	return f.wait(ctx)
}

// next returns the fetch that begins next, and plans one if there is none. The caller holds the mutex.
func (s *keySet) next() *fetch {
	if s.waiting == nil {
		s.waiting = &fetch{done: make(chan struct{})}
		delay := max(0, s.config.KeysEvery-s.config.Now().Sub(s.last))
		if s.last.IsZero() {
			delay = 0
		}
		time.AfterFunc(min(delay, s.config.KeysEvery), s.run)
	}
	return s.waiting
}

func (s *keySet) run() {
	s.mutex.Lock()
	f := s.waiting
	s.waiting, s.running, s.last = nil, f, s.config.Now()
	requested := s.last
	s.mutex.Unlock()

	list, err := guarded(s.request)
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.failed = nil
	if s.running == f {
		s.running = nil
	}
	if err != nil {
		f.err = fmt.Errorf("resource: key set: %w", err)
		s.failed = f.err
	} else {
		f.keys = &keys{list: list, requested: requested}
		if s.current == nil || s.current.requested.Before(requested) {
			s.current = f.keys
		}
	}
	close(f.done)
}

func (f *fetch) wait(ctx context.Context) (*keys, error) {
	select {
	case <-f.done:
		return f.keys, f.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// request fetches the key set. Its timeout is not that of one caller, because others wait for it too.
func (s *keySet) request() ([]jose.JSONWebKey, error) {
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.config.KeysURL, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	req.Header.Set("Cache-Control", "no-cache") // a cache in between may not have the newest key
	resp, err := s.config.HTTP.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", resp.StatusCode)
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxKeySet))
	if err != nil {
		return nil, err
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(raw, &set); err != nil {
		return nil, err
	}
	var list []jose.JSONWebKey
	for _, raw := range set.Keys {
		var k jose.JSONWebKey
		// RFC 7517 section 5: keys of an unknown kind are ignored.
		if json.Unmarshal(raw, &k) == nil && k.Valid() && k.IsPublic() && (k.Use == "" || k.Use == "sig") {
			list = append(list, k)
		}
	}
	if len(list) == 0 {
		return nil, errors.New("it has no usable key")
	}
	return list, nil
}
