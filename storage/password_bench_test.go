package storage

import (
	"testing"

	"github.com/opgrant/opgrant/storage/storagetest"
)

// What a login costs at the default costs, with all cores at it.
func BenchmarkLogin(b *testing.B) {
	r := storagetest.StartMiniredis(b)
	u, err := NewUsers(r.Client(b), Options{})
	if err != nil {
		b.Fatal(err)
	}
	if err := u.AddUser(b.Context(), User{Name: "alice", Active: true}, "wonderland"); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := u.Authenticate(b.Context(), "alice", "wonderland"); err != nil {
				b.Error(err)
			}
		}
	})
}
