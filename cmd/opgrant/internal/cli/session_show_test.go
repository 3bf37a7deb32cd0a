package cli

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/storage"
)

// A session is shown from either form in which it is stored, with all that limits it. What cannot be read is an error.
func TestASessionIsShown(t *testing.T) {
	info := storage.SessionInfo{ID: "an-id", Subject: "alice", Client: "web", Data: []byte(
		`{"at":1800000000,"ae":1800000900,"re":1802592000,"x":1802592001,"role":"super_user","k":"hidden","mf":["a-key"],"l":{"s":{},"t":{"list":["https://api.example.com"]}}}`,
	)}
	want := []string{"an-id", "alice", "web", "super_user", "a-key", "none", "https://api.example.com"}
	for range 2 {
		d, err := newSessionDetails(info)
		if err != nil {
			t.Fatal(err)
		}
		var values []string
		for _, row := range d.table().rows {
			values = append(values, row[1])
		}
		shown := strings.Join(values, "\n")
		for _, value := range append(want, stamp(unix(1_800_000_000)), stamp(unix(1_800_000_900)), stamp(unix(1_802_592_000)), stamp(unix(1_802_592_001))) {
			if !strings.Contains(shown, value) {
				t.Errorf("%q is not shown:\n%s", value, shown)
			}
		}
		asJSON, err := json.Marshal(d)
		if err != nil || !strings.Contains(string(asJSON), `"limit_scopes":[]`) || !strings.Contains(string(asJSON), `"ends":"2027-02-14T08:00:01Z"`) {
			t.Errorf("%s, %v", asJSON, err)
		}
		session, err := authserver.DecodeSession(info.Data)
		if err != nil {
			t.Fatal(err)
		}
		if info.Data, err = session.MarshalBinary(); err != nil {
			t.Fatal(err)
		}
	}
	info.Data = info.Data[:3]
	if d, err := newSessionDetails(info); err == nil {
		t.Errorf("%+v", d)
	}
}
