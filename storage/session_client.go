package storage

import (
	"context"
	"errors"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage/internal/unavailable"
)

// clientOf returns the stored request of a session and its client. fosite.ErrNotFound: the client was removed, or its sessions
// were ended since this one was opened.
func (t *Tokens) clientOf(ctx context.Context, s *session) (*document, fosite.Client, error) {
	d, err := decodeDocument(opReadSession, s.body)
	if err != nil {
		return nil, nil, err
	}
	client, err := t.clientOfGeneration(ctx, d.Client, s.clientGeneration)
	if err != nil {
		return nil, nil, err
	}
	return d, client, nil
}

// clientOfGeneration returns a client. fosite.ErrNotFound: it was removed, or its sessions were ended since that generation.
func (t *Tokens) clientOfGeneration(ctx context.Context, id, generation string) (fosite.Client, error) {
	client, err := t.clientOfStored(ctx, id)
	if err != nil || rawGeneration(t.policyOf(client).Generation) == generation {
		return client, err
	}
	client, err = t.refetch(ctx, id, generation)
	return client, clientError(err)
}

// clientOfStored returns the client of a stored request, of whichever generation. A request without a client, which the grant of
// RFC 7523 allows, has the ID "", and gets fosite's empty client as it had before.
func (t *Tokens) clientOfStored(ctx context.Context, id string) (fosite.Client, error) {
	if id == "" {
		return &fosite.DefaultClient{}, nil
	}
	client, err := t.clients.GetClient(ctx, id)
	return client, clientError(err)
}

// clientError marks every error of a registry as unavailable, unless there is no such client.
func clientError(err error) error {
	if err == nil || errors.Is(err, fosite.ErrNotFound) {
		return err
	}
	return unavailable.Error("read client of a session", err)
}

// refetch reads a client past the cache: the client or the session may be newer than what is in it.
func (t *Tokens) refetch(ctx context.Context, id, generation string) (fosite.Client, error) {
	client, err := t.getClientAnew(ctx, id)
	if err == nil && rawGeneration(t.policyOf(client).Generation) != generation {
		return nil, fosite.ErrNotFound
	}
	return client, err
}

func (t *Tokens) getClientAnew(ctx context.Context, id string) (fosite.Client, error) {
	registry, ok := t.clients.(*Clients)
	if !ok {
		return t.clients.GetClient(ctx, id)
	}
	client, err := registry.readAnew(ctx, id)
	if err != nil {
		return nil, err
	}
	return client, nil
}
