package storagetest_test

import (
	"testing"

	"github.com/ory/fosite"
	"github.com/ory/fosite/storage"

	"github.com/opgrant/opgrant/storage/storagetest"
)

// A third-party store runs the suite in one test.
func ExampleRun() {
	TestMyStore := func(t *testing.T) {
		storagetest.Run(t, storagetest.Harness{New: func(t *testing.T) storagetest.Fixture {
			s := storage.NewMemoryStore() // your store, empty
			return storagetest.Fixture{
				Storage:   s,
				AddClient: func(c fosite.Client) error { s.Clients[c.GetID()] = c; return nil },
			}
		}})
	}
	_ = TestMyStore
}
