package authserver

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
)

const thumbprint = "Ln423U0HvvLBVjMh2XUJCDrEujl0L1un-rXMmopi8Y4"

// fullSession has everything that is stored.
func fullSession() *Session {
	return &Session{
		LoggedIn: login, AccessExpires: login + 900, RefreshExpires: login + 30*day, Ends: login + 30*day, Role: "super_user",
		Key: hashKey(thumbprint), MadeFrom: []string{thumbprint, "another", ""},
		Limit: &limit{Scopes: most{List: []string{"read", "write"}}, Targets: most{All: true}},
	}
}

const (
	login = int64(1_800_000_000)
	day   = int64(24 * 60 * 60)
	year  = 365 * day
)

func encoded(t testing.TB, s *Session) []byte {
	t.Helper()
	data, err := s.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// wantSame checks that a session is the same after it was stored.
func wantSame(t testing.TB, s *Session) {
	t.Helper()
	data := encoded(t, s)
	var got Session
	if err := got.UnmarshalBinary(data); err != nil {
		t.Fatalf("%x: %v", data, err)
	}
	if !reflect.DeepEqual(&got, s) {
		t.Fatalf("%x: %+v, want %+v", data, got, *s)
	}
	if data[0] == '{' {
		t.Fatalf("%x looks like JSON", data)
	}
}

// How long the stored form is: at most 13 bytes for what an OAuth client has, for years.
func TestStoredSessionsAreShort(t *testing.T) {
	legacy := Session{LoggedIn: login, AccessExpires: login + day, RefreshExpires: login + 30*day, Key: hashKey(thumbprint)}
	exchanged := Session{LoggedIn: login, AccessExpires: login + day, RefreshExpires: login + 29*day, Ends: login + 29*day, MadeFrom: []string{thumbprint}}
	withRole := legacy
	withRole.Role = "super_user"
	for name, row := range map[string]struct {
		session Session
		size    int
	}{
		"just logged in":                       {Session{LoggedIn: login, AccessExpires: login + 900, RefreshExpires: login + 30*day}, 11},
		"with access tokens of an hour":        {Session{LoggedIn: login, AccessExpires: login + 3600, RefreshExpires: login + 30*day}, 11},
		"refreshed after 30 days":              {Session{LoggedIn: login, AccessExpires: login + 30*day, RefreshExpires: login + 60*day}, 13},
		"refreshed after four years":           {Session{LoggedIn: login, AccessExpires: login + 4*year, RefreshExpires: login + 4*year + 30*day}, 13},
		"at the end of its session":            {Session{LoggedIn: login, AccessExpires: login + day, RefreshExpires: login + day}, 9},
		"in 2100":                              {Session{LoggedIn: 4_102_444_800, AccessExpires: 4_102_444_800 + 900, RefreshExpires: 4_102_444_800 + 30*day}, 11},
		"a client's own":                       {Session{AccessExpires: login, RefreshExpires: login + 30*day}, 11},
		"nothing":                              {Session{}, 4},
		"operations API":                       {legacy, 18},
		"operations API, for a role":           {withRole, 29},
		"exchanged":                            {exchanged, 47},
		"logged in before the epoch of clocks": {Session{LoggedIn: -1, AccessExpires: login, RefreshExpires: login}, 8},
	} {
		if data := encoded(t, &row.session); len(data) != row.size {
			t.Errorf("%s: %d bytes, want %d: %x", name, len(data), row.size, data)
		}
		wantSame(t, &row.session)
	}
	full := fullSession()
	wantSame(t, full)
	if asJSON, err := json.Marshal(full); err != nil || len(encoded(t, full))*2 > len(asJSON) {
		t.Errorf("%d bytes, and %d as JSON, %v", len(encoded(t, full)), len(asJSON), err)
	}
}

// What is damaged, or of a later version, is an error, which a Storage makes unavailable. It is never a session without rights,
// or with more.
func TestDamagedSessionsAreErrors(t *testing.T) {
	full := encoded(t, fullSession())
	plain := encoded(t, &Session{LoggedIn: login, AccessExpires: login + 900, RefreshExpires: login + 30*day})
	bad := map[string][]byte{"nothing": nil, "JSON": []byte(`{}`), "null": []byte(`null`)}
	for n := range full {
		bad["cut to "+strings.Repeat("I", n)] = full[:n]
	}
	for n := range plain {
		bad["plain, cut to "+strings.Repeat("I", n)] = plain[:n]
	}
	bad["a byte more"] = append(slices.Clone(full), 0)
	bad["plain, a byte more"] = append(slices.Clone(plain), 0)
	for _, version := range []byte{0b00, 0b01, 0b11} {
		other := slices.Clone(plain)
		other[0] = other[0]&^byte(versionBits) | version<<6
		bad["version "+string('0'+rune(version))] = other
	}
	for bit := range 6 {
		other := slices.Clone(plain)
		other[0] ^= 1 << bit
		bad["flag "+string('0'+rune(bit))] = other
	}
	head := func(flags byte, rest ...byte) []byte {
		return append([]byte{sessionVersion | loginVarint | flags, 0, 0, 0}, rest...)
	}
	bad["limit with an unknown bit"] = head(hasLimit, 4, 0, 0)
	bad["key ID of an unknown kind"] = head(hasMadeFrom, 1, 2, 0)
	bad["more keys than bytes"] = head(hasMadeFrom, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1)
	bad["text longer than the rest"] = head(hasRole, 2, 'x')
	bad["length too large"] = head(hasRole, bytes.Repeat([]byte{0xff}, 11)...)
	bad["number too large"] = append([]byte{sessionVersion | loginVarint}, bytes.Repeat([]byte{0xff}, 11)...)
	for name, data := range bad {
		s := fullSession()
		s.Subject = "alice"
		before := *s
		if err := s.UnmarshalBinary(data); err == nil || strings.ContainsRune(err.Error(), '\x00') {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
		if !reflect.DeepEqual(*s, before) {
			t.Errorf("%s: the session was changed: %+v", name, s)
		}
		if name == "JSON" {
			continue
		}
		if _, err := DependsOnKey(data, thumbprint); err == nil {
			t.Errorf("%s: depends on a key, or does not", name)
		}
		if s, err := DecodeSession(data); s != nil || err == nil {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
}

// What a request knows besides stays: fosite decodes into its session. So does the subject, which the Storage sets.
func TestDecodingKeepsTheRequest(t *testing.T) {
	s := &Session{Subject: "alice", Role: "old", MadeFrom: []string{"old"}, Ends: 1, address: "192.0.2.1", scopes: []string{"read"}}
	if err := s.UnmarshalBinary(encoded(t, &Session{LoggedIn: login})); err != nil {
		t.Fatal(err)
	}
	want := &Session{Subject: "alice", LoggedIn: login, address: "192.0.2.1", scopes: []string{"read"}}
	if !reflect.DeepEqual(s, want) {
		t.Errorf("%+v, want %+v", s, want)
	}
}

// Records of earlier versions hold the session as JSON, with the whole ID of a key.
func TestSessionsOfEarlierVersions(t *testing.T) {
	old := `{"sub":"alice","ae":1800086400,"re":1802592000,"at":1800000000,"role":"super_user","k":"` + thumbprint + `",` +
		`"mf":["another"],"x":1802592000,"l":{"s":{"list":["read"]},"t":{"all":true}}}`
	s, err := DecodeSession([]byte(old))
	if err != nil {
		t.Fatal(err)
	}
	want := &Session{
		Subject: "alice", LoggedIn: login, AccessExpires: login + day, RefreshExpires: login + 30*day, Ends: login + 30*day, Role: "super_user",
		Key: hashKey(thumbprint), MadeFrom: []string{"another"}, Limit: &limit{Scopes: most{List: []string{"read"}}, Targets: most{All: true}},
	}
	if !reflect.DeepEqual(s, want) {
		t.Errorf("%+v, want %+v", s, want)
	}
	s.Subject = ""
	wantSame(t, s)

	for form, data := range map[string][]byte{"JSON": []byte(old), "bytes": encoded(t, s)} {
		for kid, want := range map[string]bool{thumbprint: true, "another": true, "a third": false, "": false, thumbprint[1:]: false} {
			if depends, err := DependsOnKey(data, kid); err != nil || depends != want {
				t.Errorf("%s: depends on %q: %v, %v", form, kid, depends, err)
			}
		}
	}
	for _, data := range []string{`{}`, `{"k":""}`, `{"k":null}`} {
		if depends, err := DependsOnKey([]byte(data), ""); err != nil || depends {
			t.Errorf("%s depends on a key: %v", data, err)
		}
	}
	for _, data := range []string{`{`, `{"k":7}`, `{"re":"x"}`, `{}}`} {
		if s, err := DecodeSession([]byte(data)); err == nil {
			t.Errorf("%s: %+v", data, s)
		}
	}
	// A Storage that keeps JSON finds again what it has stored.
	again := &Session{}
	asJSON, err := json.Marshal(want)
	if err == nil {
		err = json.Unmarshal(asJSON, again)
	}
	if err != nil || !reflect.DeepEqual(again, want) {
		t.Errorf("%s: %+v, %v", asJSON, again, err)
	}
}

// FuzzSessionBytes looks for bytes that end the process, or whose session is another one once it is stored again.
func FuzzSessionBytes(f *testing.F) {
	for _, s := range []*Session{{}, {LoggedIn: login, AccessExpires: login + 900, RefreshExpires: login + 30*day}, fullSession()} {
		data := encoded(f, s)
		f.Add(data)
		f.Add(data[:len(data)/2])
		f.Add(append(data, 0))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var s Session
		if s.UnmarshalBinary(data) == nil {
			wantSame(t, &s)
		} else if !reflect.DeepEqual(s, Session{}) {
			t.Errorf("%x: %+v despite the error", data, s)
		}
		_, _ = DependsOnKey(data, thumbprint)
	})
}

// FuzzSessionFields looks for a session that is another one after it was stored.
func FuzzSessionFields(f *testing.F) {
	f.Add(login, login+900, login+30*day, int64(0), "", "", "", false, false)
	f.Add(int64(math.MinInt64), int64(math.MaxInt64), int64(-1), int64(math.MaxUint32+1), "role", thumbprint+",x", "read,write,", true, true)
	f.Add(int64(0), login, int64(math.MinInt64), int64(1), "\x00", "a,a", ",", true, false)
	f.Fuzz(func(t *testing.T, in, access, refresh, ends int64, role, kids, scopes string, limited, everything bool) {
		s := &Session{LoggedIn: in, AccessExpires: access, RefreshExpires: refresh, Ends: ends, Role: role}
		if kids != "" {
			s.MadeFrom = strings.Split(kids, ",")
			s.Key = hashKey(kids)
		}
		if limited {
			s.Limit = &limit{Scopes: most{All: everything, List: strings.Split(scopes, ",")}, Targets: most{All: !everything}}
		}
		wantSame(t, s)
	})
}
