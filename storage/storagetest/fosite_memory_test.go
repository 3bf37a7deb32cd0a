package storagetest_test

import (
	"testing"

	"github.com/ory/fosite"
	"github.com/ory/fosite/storage"

	"github.com/opgrant/opgrant/storage/storagetest"
)

// fosite's own store passes the suite except for the listed tests. The reason names the line of fosite's code.
func TestFositeMemoryStore(t *testing.T) {
	storagetest.Run(t, storagetest.Harness{
		New: func(*testing.T) storagetest.Fixture {
			s := storage.NewMemoryStore()
			return storagetest.Fixture{
				Storage:   s,
				AddClient: func(c fosite.Client) error { s.Clients[c.GetID()] = c; return nil },
				AddUser: func(name, password string) error {
					s.Users[name] = storage.MemoryUserRelation{Username: name, Password: password}
					return nil
				},
			}
		},
		KnownDeviations: map[string]string{
			"access/the session given is filled and becomes the request's":  "the session argument is ignored (memory.go:306)",
			"refresh/the session given is filled and becomes the request's": "the session argument is ignored (memory.go:338)",

			"access/what is stored is a copy":    "the caller's object is stored (memory.go:301)",
			"access/what is returned is a copy":  "the stored object is returned (memory.go:314)",
			"refresh/what is returned is a copy": "the stored object is returned (memory.go:349)",

			"refresh/rotating an unknown token creates none":                             "RotateRefreshToken ignores the signature (memory.go:497)",
			"refresh/rotating an inactive token creates none":                            "RotateRefreshToken ignores the signature (memory.go:497)",
			"refresh/rotating an unknown token with the ID of a session changes nothing": "it revokes the newest token of the request, whichever is shown (memory.go:497)",

			"revocation/by request ID ends every access token of the session": "only the newest access token of a request is remembered (memory.go:302)",
			"revocation/stops rotation":                                       "RotateRefreshToken ignores the token's state (memory.go:497)",

			"users/the right password always returns the same subject": "the subject is a random UUID (memory.go:371)",
		},
		Skip: map[string]string{
			"concurrency": "RevokeRefreshToken writes a map without its lock (memory.go:374): Go ends the process",
		},
	})
}
