package storage

import (
	"encoding/json"
	"fmt"

	"github.com/opgrant/opgrant/storage/internal/unavailable"
)

// jsonVersion is the version of the records that are JSON: those of users, roles, clients and keys.
const jsonVersion = 1

// decodeRecord reads a stored record into a struct, and checks the version in it. Its errors are marked as unavailable.
func decodeRecord(op, raw string, into any, version *int) error {
	if err := json.Unmarshal([]byte(raw), into); err != nil {
		return unavailable.Error(op, fmt.Errorf("%w: %w", unavailable.ErrRecord, err))
	}
	if *version != jsonVersion {
		return unavailable.Error(op, fmt.Errorf("%w: version %d", unavailable.ErrRecord, *version))
	}
	return nil
}
