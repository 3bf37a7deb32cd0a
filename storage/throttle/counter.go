package throttle

import (
	_ "embed"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
)

//go:embed counter.lua
var counterSource string

var counterScript = redisdb.NewScript(counterSource)

// counter counts the failures of one user or one address.
type counter struct {
	key    string
	limit  Limit
	ofUser bool
}

func (t *Throttle) counters(user, address string) []counter {
	var list []counter
	if t.limits.PerUser.Failures > 0 {
		list = append(list, counter{t.db.Keys.Throttle("user\x00" + user), t.limits.PerUser, true})
	}
	if t.limits.PerAddress.Failures > 0 && address != "" {
		list = append(list, counter{t.db.Keys.Throttle("address\x00" + network(address)), t.limits.PerAddress, false})
	}
	return list
}

// add is the call that adds failures to the counter: 1, or -1 to take one back.
func (c counter) add(failures int) redisdb.Call {
	return redisdb.Call{
		Script: counterScript, Keys: []string{c.key},
		Args: []any{redisdb.RandomID(), failures, c.limit.interval(), c.limit.Failures},
	}
}
