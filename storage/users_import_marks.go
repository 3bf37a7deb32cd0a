package storage

import (
	"context"

	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
)

// What the mark of a user who was dropped says.
const (
	// markHere: the user was dropped here. Only AddUser brings the user back.
	markHere = "1"
	// markGone: an import removed a user whom its source no longer had. A later import brings the user back if the source has the
	// user again; tokens that it issued before stay refused.
	markGone = "2"
	// markAny stands for both, in a call of addScript.
	markAny = "*"
	// markNone stands for neither.
	markNone = ""
)

// dropped tells for each name whether a user of that name was dropped, here or by an import.
func (u *Users) dropped(ctx context.Context, names []string) ([]bool, error) {
	marks, err := u.dropMarks(ctx, names)
	list := make([]bool, len(marks))
	for i, mark := range marks {
		list[i] = mark != markNone
	}
	return list, err
}

// dropMarks returns for each name what the mark of a user who was dropped says, markNone where there is none.
func (u *Users) dropMarks(ctx context.Context, names []string) ([]string, error) {
	const op = "read marks"
	found := make([]*redis.StringCmd, len(names))
	err := u.db.Do(ctx, op, func(ctx context.Context) error {
		_, err := u.db.Client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i, name := range names {
				found[i] = p.Get(ctx, u.db.Keys.Dropped(redisdb.SubjectTag(name)))
			}
			return nil
		})
		commands := make([]redis.Cmder, len(found))
		for i, f := range found {
			commands[i] = f
		}
		return redisdb.FirstError(err, commands...)
	})
	marks := make([]string, len(names))
	for i, f := range found {
		marks[i] = f.Val()
	}
	return marks, err
}
