package keys_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/opgrant/opgrant/authserver/keys"
)

// info returns what List says about a key.
func info(t *testing.T, set *keys.Set, id string) keys.Info {
	t.Helper()
	list, err := set.List(t.Context())
	check(t, err)
	for _, k := range list {
		if k.ID == id {
			return k
		}
	}
	t.Fatalf("no key %s", id)
	return keys.Info{}
}

func TestAnImportedKeyHasALastDay(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	now := start
	set := open(t, keys.Config{Store: &memory{}, MaxTokenTTL: 90 * 24 * time.Hour, Now: func() time.Time { return now }})
	byDefault, _, err := set.Import(t.Context(), newKey(t), nil, true, time.Time{})
	check(t, err)
	private := newKey(t)
	week := start.AddDate(0, 0, 7)
	short, _, err := set.Import(t.Context(), private, nil, true, week)
	check(t, err)
	if got := info(t, set, byDefault); !got.Until.Equal(start.Add(31*24*time.Hour)) || !got.Ends.Equal(got.Until) {
		t.Errorf("by default: %+v", got)
	}
	if _, _, err := set.Import(t.Context(), newKey(t), nil, true, start); err == nil {
		t.Error("a last day in the past is accepted")
	}
	accepted := func(id string) bool {
		var listed bool
		for _, k := range set.Verifiers("") {
			listed = listed || k.ID == id
		}
		if listed != (len(set.Verifiers(id)) == 1) {
			t.Errorf("with and without kid differ")
		}
		return listed
	}
	for _, row := range []struct {
		at               time.Time
		short, byDefault bool
	}{
		{start, true, true},
		{week, true, true},
		{week.Add(time.Second), false, true},
		{start.Add(31 * 24 * time.Hour), false, true},
		{start.Add(31*24*time.Hour + time.Second), false, false},
	} {
		if now = row.at; accepted(short) != row.short || accepted(byDefault) != row.byDefault {
			t.Errorf("%v: %v %v", row.at, accepted(short), accepted(byDefault))
		}
	}
	// A second import changes the last day if one is given.
	now = start
	if _, added, err := set.Import(t.Context(), private, nil, true, time.Time{}); added || err != nil || !info(t, set, short).Until.Equal(week) {
		t.Errorf("%v %v", added, err)
	}
	later := start.AddDate(0, 0, 14)
	if _, added, err := set.Import(t.Context(), private, nil, true, later); added || err != nil || !info(t, set, short).Until.Equal(later) {
		t.Errorf("%v %v", added, err)
	}
}

// An imported key that signs is replaced by its last day, even where keys rotate by command only. It verifies what it signed
// here, and no token of the other server.
func TestAnImportedKeyThatSignsIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const day = 24 * time.Hour
		set := open(t, keys.Config{Store: &memory{}, Reload: 5 * time.Minute})
		id, _, err := set.Import(t.Context(), newKey(t), nil, false, time.Now().Add(7*day))
		check(t, err)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go set.Run(ctx, slog.New(slog.DiscardHandler))
		for _, row := range []struct {
			wait                      time.Duration
			signs, accepted, verifies bool
		}{
			{7*day - time.Hour, true, true, true},
			{time.Hour + 10*time.Minute, false, false, true},
			{30 * day, false, false, true},
			{2 * day, false, false, false},
		} {
			time.Sleep(row.wait)
			k, err := set.Signer("ES256")
			check(t, err)
			if signs, accepted, verifies := k.ID == id, len(set.Verifiers("")) == 1, len(set.Verifiers(id)) == 1; signs != row.signs ||
				accepted != row.accepted || verifies != row.verifies {
				t.Errorf("%+v: signs %v, accepted without a session %v, verifies %v", row, signs, accepted, verifies)
			}
		}
	})
}

// Keys that the first build imported have no last day. What it did with one that only verifies stays.
func TestKeysThatTheFirstBuildImported(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	store := &memory{}
	config := keys.Config{Store: store, MaxTokenTTL: 10 * 24 * time.Hour, Now: func() time.Time { return now }}
	set := open(t, config)
	verifying, _, err := set.Import(t.Context(), newKey(t), nil, true, time.Time{})
	check(t, err)
	signing, _, err := set.Import(t.Context(), newKey(t), nil, false, time.Time{})
	check(t, err)
	withoutUntil(t, store)
	set = open(t, config)
	for _, id := range []string{verifying, signing} {
		if got := info(t, set, id).Until; !got.Equal(now.Add(config.MaxTokenTTL)) {
			t.Errorf("until %v", got)
		}
	}
	now = now.Add(config.MaxTokenTTL + time.Second)
	if len(set.Verifiers(verifying)) > 0 || len(set.Verifiers("")) > 0 {
		t.Error("accepted after the last day")
	}
	if len(set.Verifiers(signing)) == 0 {
		t.Error("what the key signed here is refused")
	}
}

// withoutUntil writes the document as the first build does.
func withoutUntil(t *testing.T, store *memory) {
	t.Helper()
	var records []firstBuildRecord
	check(t, json.Unmarshal(store.document, &records))
	document, err := json.Marshal(records)
	check(t, err)
	check(t, store.SaveKeys(t.Context(), document, mustRevision(t, store)))
}
