package storage

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
	"github.com/opgrant/opgrant/storage/internal/unavailable"
)

const opListSessions = "list sessions"

// SessionInfo describes a session to people. It contains nothing that could be presented as a token.
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
	// Data is the fosite session as its own type encoded it: by MarshalBinary, or as JSON. The store does not look into it.
	Data []byte `json:"-"`
}

// SessionsOf lists the sessions of a subject, the one that expires last first. An unknown subject has none.
func (t *Tokens) SessionsOf(ctx context.Context, subject string) ([]SessionInfo, error) {
	tag := redisdb.SubjectTag(subject)
	members, err := t.members(ctx, t.db.Keys.SubjectIndex(tag))
	if err != nil {
		return nil, err
	}
	keys := make([]sessionKey, 0, len(members))
	for _, m := range members {
		if len(m) >= nameLength {
			keys = append(keys, sessionKey(tag+m[:nameLength]))
		}
	}
	return t.readSessions(ctx, keys)
}

// SessionsAt lists the sessions of a client, the one that expires last first.
func (t *Tokens) SessionsAt(ctx context.Context, clientID string) ([]SessionInfo, error) {
	members, err := t.members(ctx, t.db.Keys.ClientIndex(clientID))
	if err != nil {
		return nil, err
	}
	keys := make([]sessionKey, 0, len(members))
	for _, m := range members {
		if key, ok := parseSessionID(m); ok {
			keys = append(keys, key)
		}
	}
	return t.readSessions(ctx, keys)
}

// EachSession calls visit for every session of every client, until it returns an error.
func (t *Tokens) EachSession(ctx context.Context, visit func(SessionInfo) error) error {
	registry, ok := t.clients.(*Clients)
	if !ok {
		return errors.New("storage: clients of another registry cannot be listed")
	}
	clients, err := registry.ListClients(ctx)
	if err != nil {
		return err
	}
	for _, client := range clients {
		list, err := t.SessionsAt(ctx, client.ID)
		if err != nil {
			return err
		}
		for _, info := range list {
			if err := visit(info); err != nil {
				return err
			}
		}
	}
	return nil
}

// Session returns one session, or fosite.ErrNotFound.
func (t *Tokens) Session(ctx context.Context, requestID string) (SessionInfo, error) {
	key, err := t.locateRequest(ctx, requestID)
	if err != nil {
		return SessionInfo{}, err
	}
	list, err := t.readSessions(ctx, []sessionKey{key})
	if err != nil {
		return SessionInfo{}, err
	}
	if len(list) == 0 {
		return SessionInfo{}, t.db.Missing(ctx, opReadSession)
	}
	return list[0], nil
}

// RevokeSubject ends all sessions of a subject, with all their tokens, and refuses all tokens that another server has issued
// to it so far. When it returns nil, none is left: sessions that are in no index have ended too, because the user's record
// says so. A subject without an account, because users are kept elsewhere, has the index alone.
func (t *Tokens) RevokeSubject(ctx context.Context, subject string) error {
	accounts := &Users{db: t.db} // for the record alone
	_, _, err := accounts.edit(ctx, "end sessions", subject, func(r *userRecord) error {
		r.endSessions()
		return nil
	})
	if err := ignoreMissing(err); err != nil {
		return err
	}
	return endSubject(ctx, t.db, subject)
}

// RevokeClient ends the sessions that a client has at this moment and returns how many are in its index. Sessions that are in
// no index end too, if the client is in this store: other servers see that within Options.ClientCache. To keep out later
// ones, remove the client first.
func (t *Tokens) RevokeClient(ctx context.Context, clientID string) (int, error) {
	if registry, ok := t.clients.(*Clients); ok {
		if err := ignoreMissing(registry.newGeneration(ctx, clientID)); err != nil {
			return 0, err
		}
	}
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
	err := t.db.Do(ctx, opListSessions, func(ctx context.Context) error {
		var err error
		members, err = t.db.Client.ZRevRange(ctx, index, 0, -1).Result()
		return err
	})
	if err == nil && len(members) == 0 {
		err = t.db.CheckEpoch(ctx, opListSessions)
	}
	return members, err
}

// readSessions reads sessions, a chunk per round trip. Those that have ended meanwhile are left out.
func (t *Tokens) readSessions(ctx context.Context, keys []sessionKey) ([]SessionInfo, error) {
	var list []SessionInfo
	for chunk := range slices.Chunk(keys, 200) {
		raw := make([]*redis.StringCmd, len(chunk))
		left := make([]*redis.DurationCmd, len(chunk))
		evicted := make([]*redis.FloatCmd, len(chunk))
		err := t.db.Do(ctx, opListSessions, func(ctx context.Context) error {
			_, err := t.db.Client.Pipelined(ctx, func(p redis.Pipeliner) error {
				for i, key := range chunk {
					raw[i] = p.Get(ctx, t.db.Keys.Session(key.tag(), key.name()))
					left[i] = p.PTTL(ctx, t.db.Keys.Session(key.tag(), key.name()))
					evicted[i] = p.ZScore(ctx, t.db.Keys.Evicted(key.tag()), key.name())
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
		for i, key := range chunk {
			if errors.Is(raw[i].Err(), redis.Nil) {
				continue
			}
			if raw[i].Err() != nil {
				return nil, unavailable.Error(opListSessions, raw[i].Err())
			}
			info, err := sessionInfo(raw[i].Val(), key, left[i].Val(), evicted[i].Err() == nil)
			if err != nil {
				return nil, err
			}
			list = append(list, info)
		}
	}
	return list, nil
}

func sessionInfo(raw string, key sessionKey, left time.Duration, evicted bool) (SessionInfo, error) {
	s, err := decodeSession(opListSessions, raw)
	if err != nil {
		return SessionInfo{}, err
	}
	d, err := decodeDocument(opListSessions, s.Doc)
	if err != nil {
		return SessionInfo{}, err
	}
	return SessionInfo{
		ID: s.requestID(key), Subject: d.Subject, Client: d.Client, Scopes: d.Scopes, Address: s.Address, UserAgent: s.UserAgent,
		Created:     time.UnixMilli(s.Created).UTC(),
		LastUsed:    time.UnixMilli(s.LastUsed).UTC(),
		Expires:     time.Now().Add(left).UTC().Truncate(time.Millisecond),
		Refreshable: s.Current != "" && !evicted,
		Data:        d.data(),
	}, nil
}

// endScript ends sessions of one subject.
//
//	KEYS  1 index of the subject's sessions   2 evicted ones   then the sessions
//	ARGV  for each session its member of the index
//	reply {'ok'}
var endScript = redisdb.NewScript(`
for i = 3, #KEYS do
  redis.call('DEL', KEYS[i])
  redis.call('ZREM', KEYS[1], ARGV[i - 2])
  redis.call('ZREM', KEYS[2], string.sub(ARGV[i - 2], 1, 22))
end
return {'ok'}`)

// endSubject ends every session of a subject with all its tokens, some hundreds per round trip. When it returns nil, none is
// left.
func endSubject(ctx context.Context, db *redisdb.DB, subject string) error {
	const op, chunk = "end sessions", 500
	tag := redisdb.SubjectTag(subject)
	for {
		var members []string
		err := db.Do(context.WithoutCancel(ctx), op, func(ctx context.Context) error {
			var err error
			members, err = db.Client.ZRange(ctx, db.Keys.SubjectIndex(tag), 0, chunk-1).Result()
			return err
		})
		if err != nil && !errors.Is(err, redis.Nil) {
			return err
		}
		if len(members) == 0 {
			return db.CheckEpoch(ctx, op) // an emptied Redis has no sessions to end, but may get its data back
		}
		c := redisdb.Call{Script: endScript, Keys: []string{db.Keys.SubjectIndex(tag), db.Keys.Evicted(tag)}}
		for _, m := range slices.Compact(members) {
			c.Keys = append(c.Keys, db.Keys.Session(tag, m[:nameLength]))
			c.Args = append(c.Args, m)
		}
		if _, err := db.Eval(ctx, op, c); err != nil {
			return err
		}
	}
}
