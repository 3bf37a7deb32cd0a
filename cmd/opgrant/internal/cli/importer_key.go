package cli

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/opgrant/opgrant/authserver/keys"
	"github.com/opgrant/opgrant/storage"
)

// plannedKey is a key to import, nil where there is none.
type plannedKey struct {
	*keyPair
	outcome storage.ImportOutcome
}

// planKey returns what writeKey will do, or why the key is refused.
func (i *importer) planKey(ctx context.Context, pair *keyPair) (*plannedKey, error) {
	if pair == nil {
		return nil, nil //nolint:nilnil // no key is not an error
	}
	if _, err := keys.AlgorithmOf(pair.public); err != nil {
		return nil, err
	}
	id, err := keys.IDOf(pair.public)
	if err != nil {
		return nil, err
	}
	list, err := i.server.Keys.List(ctx)
	if err != nil {
		return nil, err
	}
	until := i.options.until
	planned := &plannedKey{keyPair: pair, outcome: storage.ImportAdded}
	if at := slices.IndexFunc(list, func(k keys.Info) bool { return k.ID == id }); at >= 0 {
		found := list[at]
		if found.Stage == "revoked" {
			return nil, fmt.Errorf("%w: %s", keys.ErrRevoked, id)
		}
		planned.outcome = storage.ImportUnchanged
		if found.Imported && !until.IsZero() && !until.Equal(found.Until) {
			planned.outcome = storage.ImportUpdated
		}
	}
	if !until.IsZero() && !until.After(time.Now()) {
		return nil, keys.ErrPast
	}
	return planned, nil
}

func (i *importer) countKey(key *plannedKey, report *importReport) {
	if key != nil {
		report.count(reportKeys, key.outcome)
	}
}

func (i *importer) writeKey(ctx context.Context, key *plannedKey) error {
	if key == nil || key.outcome == storage.ImportUnchanged {
		return nil
	}
	if err := i.server.Keys.Open(ctx); err != nil {
		return err
	}
	_, _, err := i.server.Keys.Import(ctx, key.private, key.public, i.options.verifyOnly, i.options.until)
	return err
}
