package storage

import (
	"context"

	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
)

// account is what Redis holds about a subject.
type account struct {
	tag        string
	record     []byte   // the user record, nil where there is none
	superRoles []string // the roles that make a super user
}

// accountRead reads accounts as part of a pipeline: a GET for each, and one SMEMBERS for the super-user roles.
type accountRead struct {
	keys redisdb.Keys
	tags []string

	records    []*redis.StringCmd
	superRoles *redis.StringSliceCmd
}

func (u *Users) readAccounts(names ...string) *accountRead {
	r := &accountRead{keys: u.db.Keys, tags: make([]string, len(names))}
	for i, name := range names {
		r.tags[i] = redisdb.SubjectTag(name)
	}
	return r
}

func (r *accountRead) queue(ctx context.Context, p redis.Pipeliner) {
	r.records = make([]*redis.StringCmd, len(r.tags))
	for i, tag := range r.tags {
		r.records[i] = p.Get(ctx, r.keys.User(tag))
	}
	r.superRoles = p.SMembers(ctx, r.keys.SuperRoles())
}

// err returns what went wrong in the pipeline, whose own error is given. A user that is not there is not an error.
func (r *accountRead) err(pipeline error) error {
	commands := make([]redis.Cmder, 0, len(r.records)+1)
	for _, c := range r.records {
		commands = append(commands, c)
	}
	return redisdb.FirstError(pipeline, append(commands, r.superRoles)...)
}

// account returns one of the accounts. Call it after err returned nil.
func (r *accountRead) account(i int) *account {
	a := &account{tag: r.tags[i], superRoles: r.superRoles.Val()}
	if r.records[i].Err() == nil {
		a.record = []byte(r.records[i].Val())
	}
	return a
}

// account returns what is stored about a subject: from the unit of work in the context if that has read it, otherwise from
// Redis in one round trip. When there is no such user the record is nil; whether Redis has lost it is not checked.
func (u *Users) account(ctx context.Context, op, name string) (*account, error) {
	if a := batchFrom(ctx).known(name); a != nil {
		return a, nil
	}
	read := u.readAccounts(name)
	if err := u.run(ctx, op, read); err != nil {
		return nil, err
	}
	a := read.account(0)
	batchFrom(ctx).remember(a)
	return a, nil
}

// accounts reads the accounts of some users, in one round trip and in their order.
func (u *Users) accounts(ctx context.Context, op string, names []string) ([]*account, error) {
	if len(names) == 0 {
		return nil, nil
	}
	read := u.readAccounts(names...)
	if err := u.run(ctx, op, read); err != nil {
		return nil, err
	}
	list := make([]*account, len(names))
	for i := range list {
		list[i] = read.account(i)
	}
	return list, nil
}

func (u *Users) run(ctx context.Context, op string, read *accountRead) error {
	return u.db.Do(ctx, op, func(ctx context.Context) error {
		_, err := u.db.Client.Pipelined(ctx, func(p redis.Pipeliner) error {
			read.queue(ctx, p)
			return nil
		})
		return read.err(err)
	})
}

// userState is the part of a user record that sessions depend on.
type userState struct {
	Version    int    `json:"v"`
	Revision   string `json:"rev"`
	Generation string `json:"gen"`
	Active     bool   `json:"active"`
}

// state returns nil for a subject without a record.
func (a *account) state() (*userState, error) {
	if a.record == nil {
		return nil, nil //nolint:nilnil // a user of another directory is not an error
	}
	var s userState
	if err := decodeRecord("read user", string(a.record), &s, &s.Version); err != nil {
		return nil, err
	}
	return &s, nil
}
