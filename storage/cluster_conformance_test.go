package storage_test

import (
	"context"
	"crypto/rand"
	"testing"
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// On a Cluster a script with keys in two slots fails, and so does a transaction whose writes go to two nodes.
func TestConformanceOnCluster(t *testing.T) {
	needs(t, effortShort)
	g := storagetest.StartCluster(t, storagetest.Options{})
	for name, h := range map[string]storagetest.Harness{
		"own signatures":     {RequestID: storage.NewSessionID, Signature: ownSignature},
		"foreign signatures": {},
	} {
		t.Run(name, func(t *testing.T) {
			h.New = func(t *testing.T) storagetest.Fixture {
				s := newStore(t, g.Client(t, nil), storage.Options{Prefix: rand.Text() + ":"})
				return storagetest.Fixture{
					Storage:   s,
					AddClient: func(c fosite.Client) error { return s.PutClient(context.Background(), asClient(c, 0)) },
					AddUser: func(name, password string) error {
						return s.Users.AddUser(context.Background(), storage.User{Name: name, Active: true}, password)
					},
					Advance: time.Sleep,
				}
			}
			storagetest.Run(t, h)
		})
	}
}
