package faults_test

import (
	"context"
	"crypto/rand"
	"testing"
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/storagetest"
)

// On a Cluster a script with keys in two slots fails, and so does a transaction that writes to two nodes.
func TestConformanceOnCluster(t *testing.T) {
	t.Parallel()
	g := storagetest.StartCluster(t, storagetest.Options{})
	for name, h := range map[string]storagetest.Harness{
		"own signatures": {
			RequestID: storage.NewSessionID, Signature: func(requestID string) string { return storage.Signature(requestID, rand.Text()) },
		},
		"foreign signatures": {},
	} {
		t.Run(name, func(t *testing.T) {
			h.New = func(t *testing.T) storagetest.Fixture {
				s := newStore(t, g.Client(t, nil), storage.Options{Prefix: rand.Text() + ":", Timeout: 30 * time.Second})
				return storagetest.Fixture{
					Storage: s,
					AddClient: func(c fosite.Client) error {
						none := storage.Duration(0)
						return s.PutClient(context.Background(), &storage.Client{
							ID: c.GetID(), Public: c.IsPublic(), Grants: c.GetGrantTypes(), Scopes: c.GetScopes(), Audience: c.GetAudience(), Grace: &none,
						})
					},
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
