package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/ory/fosite"

	"github.com/opgrant/opgrant/storage/internal/unavailable"
)

// codeRecord is the stored form of an authorization code:
//
//	1 byte    version, 1
//	1 byte    'o' open, 'u' used
//	16 bytes  mark of the caller that used it, zero while it is open
//	          the generation of the user when it was issued, after its length in one byte
//	13 bytes  when it was issued, in milliseconds as text
//	          the generation of the client, and fosite's request ID, each after its length in two bytes, and the
//	          request
//
// The scripts read what comes before the generation of the client.
type codeRecord struct {
	used             bool
	generation       string
	clientGeneration string
	requestID        string
	document         string // of encodeRequest
	created          int64  // in milliseconds of Redis's clock
}

const (
	codeVersion = 1
	markLength  = 16
	codeHeader  = 2 + markLength
	codeTime    = 13
)

// tail encodes what follows the time, which the script that stores the code adds with what is before it.
func (c *codeRecord) tail() []byte {
	return append(appendLong(appendLong(nil, c.clientGeneration), c.requestID), c.document...)
}

func decodeCode(op, raw string) (*codeRecord, error) {
	if len(raw) < codeHeader || raw[0] != codeVersion || raw[1] != 'o' && raw[1] != 'u' {
		return nil, unavailable.Error(op, unavailable.ErrRecord)
	}
	r := &fields{left: raw[codeHeader:]}
	c := &codeRecord{used: raw[1] == 'u', generation: r.short()}
	created, err := strconv.ParseInt(r.take(codeTime), 10, 64)
	c.created, c.clientGeneration, c.requestID = created, r.long(), r.long()
	c.document = r.left
	if err = errors.Join(r.err, err); err != nil {
		return nil, unavailable.Error(op, fmt.Errorf("%w: %w", unavailable.ErrRecord, err))
	}
	return c, nil
}

func appendLong(to []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(to, uint16(len(s))), s...) // #nosec G115 -- checkLengths bounds it
}

// errTooLong is returned for names that no fosite server makes.
var errTooLong = errors.New("storage: the request ID or the client's generation is longer than 1,000 bytes")

func checkLengths(names ...string) error {
	for _, name := range names {
		if len(name) > 1000 {
			return errTooLong
		}
	}
	return nil
}

// secretParameters are those of a request that are credentials, and that no handler of fosite reads from a stored request.
var secretParameters = []string{
	"client_secret", "client_assertion", "password", "code", "code_verifier", "refresh_token", "access_token", "token", "assertion",
	"subject_token", "actor_token",
}

// withoutSecrets is a request whose form holds no credentials. fosite passes some requests to the store as they came.
type withoutSecrets struct{ fosite.Requester }

// GetRequestForm returns the form without credentials.
func (r withoutSecrets) GetRequestForm() url.Values {
	form := make(url.Values, len(r.Requester.GetRequestForm()))
	for key, values := range r.Requester.GetRequestForm() {
		form[key] = values
	}
	for _, key := range secretParameters {
		form.Del(key)
	}
	return form
}

// decodeKeepingExpiry makes a request of a document. fosite reads the requests of a code into one session one after the other, and sets the
// expiry of the tokens in between: what is stored has none, and must not remove it.
func decodeKeepingExpiry(d *document, id string, client fosite.Client, into fosite.Session) (*fosite.Request, error) {
	var kept map[fosite.TokenType]time.Time
	if into != nil {
		kept = make(map[fosite.TokenType]time.Time)
		for _, kind := range []fosite.TokenType{fosite.AccessToken, fosite.RefreshToken, fosite.IDToken} {
			kept[kind] = expiryOf(into, kind)
		}
	}
	req, err := d.request(id, client, into)
	if err != nil {
		return nil, err
	}
	for kind, at := range kept {
		if !at.IsZero() && expiryOf(into, kind).IsZero() {
			into.SetExpiresAt(kind, at)
		}
	}
	return req, nil
}

// expiryOf is GetExpiresAt of a session that may not be filled yet. Some types, such as those around a nil openid.DefaultSession,
// panic then.
func expiryOf(session fosite.Session, kind fosite.TokenType) (at time.Time) {
	defer func() { _ = recover() }()
	return session.GetExpiresAt(kind)
}

const (
	// codeMemory is how long a code is remembered when it is not valid any more.
	codeMemory = 15 * time.Minute
	// defaultCodeTTL is fosite's own default.
	defaultCodeTTL = 15 * time.Minute
)

// codeTTL is how long the code of a request is valid.
func codeTTL(req fosite.Requester) time.Duration {
	return untilExpiry(req.GetSession(), fosite.AuthorizeCode, defaultCodeTTL)
}

// untilExpiry is how long something is valid that expires with the session's entry of that kind. Without one it is otherwise, since
// every key must expire. It is not negative.
func untilExpiry(session fosite.Session, kind fosite.TokenType, otherwise time.Duration) time.Duration {
	if session == nil {
		return otherwise
	}
	expires := session.GetExpiresAt(kind)
	if expires.IsZero() {
		return otherwise
	}
	return min(max(time.Until(expires), 0), maxTTL)
}

// keyOfNew returns the session of a new code.
func keyOfNew(signature string, req fosite.Requester) sessionKey {
	if key, _, ok := parseSignature(signature); ok {
		return key
	}
	return keyOfRequest(req)
}
