package storage

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

// SessionInfo is a session as people see it. It holds nothing that could be presented as a token.
type SessionInfo struct {
	ID        string    `json:"id"` // fosite's request ID
	Subject   string    `json:"subject,omitempty"`
	Client    string    `json:"client"`
	Scopes    []string  `json:"scopes,omitempty"`
	Created   time.Time `json:"created"`
	LastUsed  time.Time `json:"last_used"` // the login or the last refresh
	Expires   time.Time `json:"expires"`   // when its last token does
	Address   string    `json:"address,omitempty"`
	UserAgent string    `json:"user_agent,omitempty"`
	// Refreshable is false for a session that will get no further tokens: it was evicted by a newer login, or its refresh
	// token was revoked.
	Refreshable bool `json:"refreshable"`
}

// SessionsOf lists the sessions of a subject, the one that expires last first. An unknown subject has none.
func (t *Tokens) SessionsOf(ctx context.Context, subject string) ([]SessionInfo, error) {
	tag := subjectTag(subject)
	members, err := t.members(ctx, t.db.keys.index(tag))
	if err != nil {
		return nil, err
	}
	at := make([]location, 0, len(members))
	for _, m := range members {
		if len(m) >= tagLength {
			at = append(at, location(tag+m[:tagLength]))
		}
	}
	return t.describeAll(ctx, at)
}

// SessionsAt lists the sessions of a client, the one that expires last first.
func (t *Tokens) SessionsAt(ctx context.Context, clientID string) ([]SessionInfo, error) {
	members, err := t.members(ctx, t.db.keys.clientIndex(clientID))
	if err != nil {
		return nil, err
	}
	at := make([]location, 0, len(members))
	for _, m := range members {
		if l, ok := parseSessionID(m); ok {
			at = append(at, l)
		}
	}
	return t.describeAll(ctx, at)
}

// Session returns one session, or fosite.ErrNotFound.
func (t *Tokens) Session(ctx context.Context, requestID string) (SessionInfo, error) {
	at, err := t.locateRequest(ctx, requestID)
	if err != nil {
		return SessionInfo{}, err
	}
	list, err := t.describeAll(ctx, []location{at})
	if err != nil {
		return SessionInfo{}, err
	}
	if len(list) == 0 {
		return SessionInfo{}, t.db.missing(ctx, "read session")
	}
	return list[0], nil
}

// RevokeSubject ends all sessions of a subject, with all their tokens. When it returns nil, none is left.
func (t *Tokens) RevokeSubject(ctx context.Context, subject string) error {
	return t.db.endSubject(ctx, subject)
}

// RevokeClient ends the sessions that a client has at this moment and returns how many. To keep out later ones, remove
// the client first.
func (t *Tokens) RevokeClient(ctx context.Context, clientID string) (int, error) {
	list, err := t.SessionsAt(ctx, clientID)
	if err != nil {
		return 0, err
	}
	for i, s := range list {
		if err := t.RevokeSession(ctx, s.ID); err != nil {
			return i, err
		}
	}
	return len(list), nil
}

func (t *Tokens) members(ctx context.Context, index string) ([]string, error) {
	var members []string
	err := t.db.do(ctx, "list sessions", func(ctx context.Context) error {
		var err error
		members, err = t.db.rdb.ZRevRange(ctx, index, 0, -1).Result()
		return err
	})
	return members, err
}

// describeAll reads sessions, a chunk per round trip. Those that have ended meanwhile are left out.
func (t *Tokens) describeAll(ctx context.Context, at []location) ([]SessionInfo, error) {
	var list []SessionInfo
	for chunk := range slices.Chunk(at, 200) {
		raw := make([]*redis.StringCmd, len(chunk))
		left := make([]*redis.DurationCmd, len(chunk))
		evicted := make([]*redis.FloatCmd, len(chunk))
		err := t.db.do(ctx, "list sessions", func(ctx context.Context) error {
			_, err := t.db.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
				for i, l := range chunk {
					raw[i] = p.Get(ctx, t.db.keys.session(l))
					left[i] = p.PTTL(ctx, t.db.keys.session(l))
					evicted[i] = p.ZScore(ctx, t.db.keys.evicted(l.tag()), l.rest())
				}
				return nil
			})
			if errors.Is(err, redis.Nil) {
				return nil
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		for i, l := range chunk {
			if errors.Is(raw[i].Err(), redis.Nil) {
				continue
			}
			if raw[i].Err() != nil {
				return nil, dontKnow("list sessions", raw[i].Err())
			}
			info, err := describeOne(raw[i].Val(), l, left[i].Val(), evicted[i].Err() == nil)
			if err != nil {
				return nil, err
			}
			list = append(list, info)
		}
	}
	return list, nil
}

func describeOne(raw string, at location, left time.Duration, evicted bool) (SessionInfo, error) {
	s, err := decodeSession(raw)
	if err != nil {
		return SessionInfo{}, dontKnow("list sessions", err)
	}
	d, err := decodeDocument(s.Doc)
	if err != nil {
		return SessionInfo{}, dontKnow("list sessions", err)
	}
	info := SessionInfo{
		ID: s.ID, Subject: d.Subject, Client: d.Client, Scopes: d.Scopes, Address: s.Address, UserAgent: s.UserAgent,
		Created:  time.UnixMilli(s.Created).UTC(),
		LastUsed: time.UnixMilli(s.LastUsed).UTC(),
		Expires:  time.Now().Add(left).UTC().Truncate(time.Millisecond),
	}
	if info.ID == "" {
		info.ID = string(at)
	}
	info.Refreshable = s.Current != "" && !evicted
	return info, nil
}
