package storage

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
)

const opListSessions = "list sessions"

// SessionInfo describes a session to people. It contains nothing that could be presented as a token.
type SessionInfo struct {
	ID        string    `json:"id"` // fosite's request ID
	Subject   string    `json:"subject,omitempty"`
	Client    string    `json:"client"`
	Scopes    []string  `json:"scopes,omitempty"`
	Audience  []string  `json:"audience,omitempty"`
	Created   time.Time `json:"created"`
	LastUsed  time.Time `json:"last_used"` // the login or the last refresh
	Expires   time.Time `json:"expires"`   // when its last token does
	Address   string    `json:"address,omitempty"`
	UserAgent string    `json:"user_agent,omitempty"`
	// Refreshable is false for a session that will get no further tokens: it was evicted by a newer login, or its refresh
	// token was revoked.
	Refreshable bool `json:"refreshable"`
	// RefreshNumber is that of the current refresh token: 1 at the login, and one more for each rotation. 0: it has none.
	RefreshNumber uint32 `json:"refresh_number,omitempty"`
	// ListedTokens is how many access tokens have an entry of their own, because they are not self-contained, and
	// RevokedTokens how many were revoked one by one.
	ListedTokens  int `json:"listed_tokens,omitempty"`
	RevokedTokens int `json:"revoked_tokens,omitempty"`
	// RecordVersion and RecordSize, in bytes, are those of the record in Redis.
	RecordVersion int `json:"record_version"`
	RecordSize    int `json:"record_size"`
	// Data is the fosite session as its own type encoded it: by MarshalBinary if it has that method, otherwise as JSON. In
	// records of the version before it is always JSON. The store does not look into it.
	Data []byte `json:"-"`

	name      string     // within the subject
	key       sessionKey // empty if it is not known
	agentHash string

	createdMilli                 int64
	generation, clientGeneration string
}

// Session returns one session, or fosite.ErrNotFound.
func (t *Tokens) Session(ctx context.Context, requestID string) (SessionInfo, error) {
	key, err := t.locateRequest(ctx, requestID)
	if err != nil {
		return SessionInfo{}, err
	}
	list, unreadable, err := t.readSessions(ctx, []storedSession{t.stored(key.tag(), key.name())})
	if err = cmp.Or(err, unreadable); err == nil {
		list, err = t.living(ctx, list)
	}
	if err != nil {
		return SessionInfo{}, err
	}
	if len(list) == 0 {
		return SessionInfo{}, t.db.Missing(ctx, opReadSession)
	}
	return list[0], nil
}

// SessionsOf lists the sessions of a subject, the one that expires last first. An unknown subject has none. Where a record cannot be
// read, of this subject or of another one in its slot, the others are returned with the error.
func (t *Tokens) SessionsOf(ctx context.Context, subject string) ([]SessionInfo, error) {
	members, err := t.indexed(ctx, opListSessions, redisdb.SubjectTag(subject))
	if err != nil {
		return nil, err
	}
	list, unreadable, err := t.readSessions(ctx, members)
	if err != nil {
		return nil, err
	}
	list = slices.DeleteFunc(list, func(info SessionInfo) bool { return info.Subject != subject })
	sortByExpiry(list)
	list, err = t.living(ctx, list)
	return list, cmp.Or(err, unreadable)
}

// indexed returns the sessions in the index of a subject, among them those of other subjects in its slot.
func (t *Tokens) indexed(ctx context.Context, op, tag string) ([]storedSession, error) {
	var members, old *redis.StringSliceCmd
	err := t.db.Do(ctx, op, func(ctx context.Context) error {
		_, err := t.db.Client.Pipelined(ctx, func(p redis.Pipeliner) error {
			members = p.ZRange(ctx, t.db.Keys.Sessions(tag), 0, -1)
			old = p.ZRange(ctx, t.db.Keys.OldIndex(tag), 0, -1)
			return nil
		})
		return redisdb.FirstError(err, members, old)
	})
	if err != nil {
		return nil, err
	}
	var list []storedSession
	for _, m := range members.Val() {
		if len(m) >= redisdb.RawLength {
			list = append(list, t.stored(tag, redisdb.TextName(m[len(m)-redisdb.RawLength:])))
		}
	}
	for _, m := range old.Val() {
		if name, _, ok := strings.Cut(m, ":"); ok && len(name) == nameLength && base64urlOnly(name) {
			list = append(list, t.stored(tag, name))
		}
	}
	if len(list) == 0 {
		return nil, t.db.CheckEpoch(ctx, op)
	}
	return list, nil
}

// SessionsAt lists the sessions of a client, the one that expires last first. It visits all sessions of the
// store, and where EachSession returns an error, the sessions found are returned with it.
func (t *Tokens) SessionsAt(ctx context.Context, clientID string) ([]SessionInfo, error) {
	var list []SessionInfo
	seen := make(map[string]bool)
	err := t.EachSession(ctx, func(info SessionInfo) error {
		if info.Client == clientID && !seen[info.ID] {
			seen[info.ID] = true
			list = append(list, info)
		}
		return nil
	})
	sortByExpiry(list)
	return list, err
}
