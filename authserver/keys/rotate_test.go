package keys_test

import (
	"context"
	"encoding/json"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/authserver/keys"
	"github.com/opgrant/opgrant/authserver/policy"
)

// memory is a key store without a network.
type memory struct {
	mutex    sync.Mutex
	document []byte
	revision int
	saved    func()
}

func (m *memory) LoadKeys(context.Context) ([]byte, string, error) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if m.document == nil {
		return nil, "", nil
	}
	return m.document, strconv.Itoa(m.revision), nil
}

func (m *memory) SaveKeys(_ context.Context, document []byte, revision string) error {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if m.document != nil && revision != strconv.Itoa(m.revision) || m.document == nil && revision != "" {
		return fosite.ErrSerializationFailure
	}
	m.document, m.revision = document, m.revision+1
	if m.saved != nil {
		m.saved()
	}
	return nil
}

func open(t *testing.T, config keys.Config) *keys.Set {
	t.Helper()
	set, err := keys.New(config)
	if err == nil {
		err = set.Open(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// The lead begins when the key is published, not when its generation begins: an RSA key can take seconds. The clock advances
// whenever it is read.
func TestLeadBeginsWhenTheKeyIsPublished(t *testing.T) {
	const lead = time.Minute
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	store := &memory{}
	set := open(t, keys.Config{Store: store, Lead: lead, Now: func() time.Time {
		now = now.Add(time.Second)
		return now
	}})
	var published time.Time
	store.saved = func() { published = now }
	if _, err := set.Rotate(t.Context(), policy.ES256, false); err != nil {
		t.Fatal(err)
	}
	list, err := set.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := list[0].Activates.Sub(published); list[0].Stage != "next" || got < lead {
		t.Errorf("%s, published %v before it signs", list[0].Stage, got)
	}
}

func TestStages(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	set := open(t, keys.Config{Store: &memory{}, Lead: time.Hour, MaxTokenTTL: 24 * time.Hour, Now: func() time.Time { return now }})
	first, err := set.Signer(policy.ES256)
	if err != nil {
		t.Fatal(err)
	}
	next, err := set.Rotate(t.Context(), policy.ES256, false)
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := set.Rotate(t.Context(), policy.ES256, false); again != next {
		t.Error("a second rotation while one is waiting makes a key")
	}
	signs := func() string {
		k, err := set.Signer(policy.ES256)
		if err != nil {
			t.Fatal(err)
		}
		return k.ID
	}
	served := func(id string) bool {
		body, _, err := set.Document()
		if err != nil {
			t.Fatal(err)
		}
		var document struct{ Keys []struct{ Kid string } }
		if err := json.Unmarshal(body, &document); err != nil {
			t.Fatal(err)
		}
		for _, k := range document.Keys {
			if k.Kid == id {
				return len(set.Verifiers(id)) == 1
			}
		}
		return len(set.Verifiers(id)) == 1
	}
	for _, row := range []struct {
		after         time.Duration
		signer        string
		first, second bool
	}{
		{0, first.ID, true, true},
		{time.Hour - time.Second, first.ID, true, true},
		{time.Hour, next, true, true},
		{25 * time.Hour, next, true, true},
		{25*time.Hour + time.Second, next, false, true},
		{1000 * time.Hour, next, false, true},
	} {
		now = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(row.after)
		if signs() != row.signer || served(first.ID) != row.first || served(next) != row.second {
			t.Errorf("after %v: signs with the second: %v, first served: %v, second: %v", row.after, signs() == next, served(first.ID), served(next))
		}
	}
}

func TestTwoReplicasOpenOneSet(t *testing.T) {
	store := &memory{}
	sets := make([]*keys.Set, 4)
	var all sync.WaitGroup
	for i := range sets {
		all.Go(func() { sets[i] = open(t, keys.Config{Store: store}) })
	}
	all.Wait()
	want, _, err := sets[0].Document()
	if err != nil {
		t.Fatal(err)
	}
	for _, set := range sets[1:] {
		if got, _, _ := set.Document(); string(got) != string(want) {
			t.Errorf("%s\n%s", got, want)
		}
	}
}
