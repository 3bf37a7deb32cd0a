package authserver_test

import (
	"github.com/opgrant/opgrant/authserver"
	"github.com/opgrant/opgrant/authserver/keys"
	"github.com/opgrant/opgrant/storage"
	"github.com/opgrant/opgrant/storage/throttle"
)

// What package storage offers to the server. A renamed method is a compile error here, above all one of the optional
// interface ImportedTokens and the policy of a client, which the server finds by type assertion.
var (
	_ authserver.Storage        = (*storage.Store)(nil)
	_ authserver.Users          = (*storage.Users)(nil)
	_ authserver.ImportedTokens = (*storage.Users)(nil)
	_ authserver.SecretThrottle = (*throttle.Throttle)(nil)
	_ authserver.Client         = (*storage.Client)(nil)
	_ keys.Store                = (*storage.Keys)(nil)
)
