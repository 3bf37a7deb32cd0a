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

// requestTime bounds a request to the authorization server, whatever the HTTP client does.
const requestTime = 5 * time.Second

// maxKeySet bounds what is read as a key set.
const maxKeySet = 1 << 20

// keySet caches the public keys of the authorization server. keyfunc and its like do the same, but cannot tell a key that
// is not there from a server that could not be asked, and that is the difference between 401 and 503.
type keySet struct {
	config Config

	mutex   sync.Mutex
	current *keys
	waiting *fetch    // begins when the distance to the last one is kept
	running *fetch    // the one that began last, until it is done
	last    time.Time // when the last one began
	failed  error     // what became of the last one
}

// keys are one key set, as it was at a time.
type keys struct {
	list  []jose.JSONWebKey
	asked time.Time // when the request for it was sent
}

// fetch is one request for the key set, with all who wait for it.
type fetch struct {
	done chan struct{}
	keys *keys
	err  error
}

func newKeySet(config Config) *keySet { return &keySet{config: config} }

// recent returns the keys at hand, and begins to renew them when they are no longer fresh. It waits only when there are
// none, or none that may still be used.
func (s *keySet) recent(ctx context.Context) (*keys, error) {
	s.mutex.Lock()
	current := s.current
	if current != nil {
		age := s.config.Now().Sub(current.asked)
		if age < s.config.KeysFresh {
			s.mutex.Unlock()
			return current, nil
		}
		if age < s.config.KeysStale {
			s.next()
			s.mutex.Unlock()
			return current, nil
		}
	}
	return s.fetched(ctx)
}

// newer returns a key set that was asked for later than the one that was tried.
func (s *keySet) newer(ctx context.Context, tried *keys) (*keys, error) {
	s.mutex.Lock()
	if s.current != nil && s.current.asked.After(tried.asked) {
		defer s.mutex.Unlock()
		return s.current, nil
	}
	if f := s.running; f != nil {
		s.mutex.Unlock()
		return f.wait(ctx)
	}
	return s.fetched(ctx)
}

// fetched waits for the next fetch, but not in the wake of one that failed: whoever asks then is told at once. The caller
// holds the mutex, which is released.
func (s *keySet) fetched(ctx context.Context) (*keys, error) {
	if s.failed != nil && s.config.Now().Sub(s.last) < s.config.KeysEvery {
		defer s.mutex.Unlock()
		return nil, s.failed
	}
	f := s.next()
	s.mutex.Unlock()
	return f.wait(ctx)
}

// next returns the fetch that is about to begin, a new one if there is none. The caller holds the mutex.
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
	asked := s.last
	s.mutex.Unlock()

	list, err := s.get()
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
		f.keys = &keys{list: list, asked: asked}
		if s.current == nil || s.current.asked.Before(asked) {
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

// get has a time-out of its own: those who wait for it come and go.
func (s *keySet) get() ([]jose.JSONWebKey, error) {
	ctx, cancel := context.WithTimeout(context.Background(), requestTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.config.KeysURL, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	req.Header.Set("Cache-Control", "no-cache") // a cache on the way may not have the newest key
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
		// RFC 7517 section 5: a key of a kind that is not known here does not spoil the others.
		if json.Unmarshal(raw, &k) == nil && k.Valid() && k.IsPublic() && (k.Use == "" || k.Use == "sig") {
			list = append(list, k)
		}
	}
	if len(list) == 0 {
		return nil, errors.New("no key in it")
	}
	return list, nil
}
