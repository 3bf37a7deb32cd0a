package opgrant

import (
	"context"
	"errors"
	"log/slog"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/compat"
	"github.com/opgrant/opgrant/storage"
)

// oldServer implements storage.Source: the users of the server that the operations are moved from.
type oldServer struct {
	verifier *compat.Verifier
	log      *slog.Logger
}

var _ storage.Source = (*oldServer)(nil)

// source is where users are verified who are not in the store, nil for nowhere.
func (c Config) source() (storage.Source, error) {
	if c.Storage.Source != nil || c.Operations.Upstream == nil || c.DisableOperations {
		return c.Storage.Source, nil
	}
	verifier, err := compat.NewVerifier(*c.Operations.Upstream)
	if err != nil {
		return nil, err
	}
	return &oldServer{verifier, c.Log}, nil
}

// Verify implements storage.Source.
func (s *oldServer) Verify(ctx context.Context, name, password string) (storage.User, storage.Role, error) {
	user, err := s.verifier.Verify(ctx, name, password)
	if errors.Is(err, compat.ErrInvalid) {
		return storage.User{}, storage.Role{}, fosite.ErrNotFound
	}
	if err != nil {
		return storage.User{}, storage.Role{}, err
	}
	s.log.InfoContext(ctx, "user verified at the old server", "user", user.Name, "role", user.Role.ID)
	return storage.User{Name: user.Name, Active: user.Active}, storage.Role(user.Role), nil
}
