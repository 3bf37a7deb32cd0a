package storage

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/ory/fosite"
)

// Servers of the first build stored MaxSessionTTL as max_session_life. Both builds read what the other one writes.
func TestClientRecordsOfTheFirstBuild(t *testing.T) {
	const tenMinutes = Duration(10 * time.Minute)
	old := `{"v":1,"id":"app","grants":["password"],"max_session_life":"10m0s"}`
	client, err := decodeClient(old)
	if err != nil {
		t.Fatal(err)
	}
	if client.ID != "app" || client.MaxSessionTTL != tenMinutes {
		t.Errorf("%+v", client)
	}
	raw, err := encodeClient(client)
	if err != nil {
		t.Fatal(err)
	}
	var first struct {
		MaxSessionTTL Duration `json:"max_session_life"`
	}
	if err := json.Unmarshal(raw, &first); err != nil || first.MaxSessionTTL != tenMinutes {
		t.Errorf("the first build reads %v from %s: %v", first.MaxSessionTTL, raw, err)
	}
}

func TestUnreadableClientRecordsAreUnavailable(t *testing.T) {
	for _, raw := range []string{``, `null`, `{}`, `{"v":1}`, `{"v":2,"id":"app"}`, `[]`} {
		if _, err := decodeClient(raw); !errors.Is(err, fosite.ErrTemporarilyUnavailable) {
			t.Errorf("%q: %v", raw, err)
		}
	}
}
