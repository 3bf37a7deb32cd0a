package authserver

import (
	"context"
	"time"
)

// Users authenticates users for the password grant and says what their tokens contain. Its methods must be safe for
// concurrent use. Errors are as in Storage.
type Users interface {
	// Login returns the subject of a user name and password. address is where the request comes from. fosite.ErrNotFound: the
	// user is unknown or disabled, or the password is wrong. All three should take the same time. policy.TooManyAttempts: too many
	// logins of the user or from the address have failed; the password was not compared.
	//
	// It is called when the client is authenticated and may use the grant, so that other requests change nothing about a user.
	Login(ctx context.Context, username, password, address string) (subject string, err error)
	// Claims returns what tokens say about the subject besides its name. It is called for every token, so that tokens follow
	// the user's rights. fosite.ErrNotFound: the subject gets no more tokens.
	Claims(ctx context.Context, subject string) (map[string]any, error)
}

// ImportedTokens is an optional interface of Users: it accepts tokens that another server signed with an imported key,
// until they expire. Without it such tokens are invalid.
type ImportedTokens interface {
	// ImportedTokenValid returns nil if a token that was issued to the subject at that time is still accepted. refresh is the
	// whole token if it is a refresh token, otherwise empty. fosite.ErrNotFound: the token is not accepted.
	ImportedTokenValid(ctx context.Context, subject string, issued time.Time, refresh string) error
}
