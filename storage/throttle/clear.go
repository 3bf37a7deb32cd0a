package throttle

import (
	"context"
	"errors"
	"net/netip"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
)

// ErrNetwork is returned by ClearNetwork for a text that is neither an address nor a network of the size that is counted.
var ErrNetwork = errors.New("throttle: not an address or a network as they are counted")

// ClearUser forgets the failures of a user, from all networks, and tells how many buckets there were. With networks it also forgets
// where the user has logged in from.
func (t *Throttle) ClearUser(ctx context.Context, user string, networks bool) (int, error) {
	tag := redisdb.SubjectTag(user)
	return t.clear(ctx, tag, networks)
}

// ClearNetwork forgets the failures that are counted for a network, or for the network of an address, and tells how many buckets
// there were. Failures of single users stay.
func (t *Throttle) ClearNetwork(ctx context.Context, text string) (int, error) {
	network := t.Network(text)
	if p, err := netip.ParsePrefix(text); err == nil {
		if network = t.Network(p.Addr().String()); network != p.Masked().String() {
			return 0, ErrNetwork
		}
	} else if _, err := netip.ParseAddr(text); err != nil {
		return 0, ErrNetwork
	}
	return t.clear(ctx, networkTag(network), false)
}

// ClearClient forgets the wrong secrets of a client, from all networks, and tells how many buckets there were. Servers that refuse
// the client at the moment do so until the time that they have told it.
func (t *Throttle) ClearClient(ctx context.Context, client string) (int, error) {
	return t.clear(ctx, clientTag(client), false)
}

// clearScript removes counters.
//
//	KEYS  1 buckets   2 known networks
//	ARGV  1 '1' to remove the known networks too
//	reply how many buckets there were
//	twice finds none, and replies 0
var clearScript = redisdb.NewScript(`
local buckets = math.max(redis.call('HLEN', KEYS[1]) - 1, 0)
if ARGV[1] == '1' then redis.call('DEL', KEYS[2]) end
redis.call('DEL', KEYS[1])
return buckets`)

func (t *Throttle) clear(ctx context.Context, tag string, networks bool) (int, error) {
	flag := "0"
	if networks {
		flag = "1"
	}
	reply, err := t.db.Eval(ctx, "clear failed logins", redisdb.Call{
		Script: clearScript, Keys: []string{t.db.Keys.Failures(tag), t.db.Keys.KnownNetworks(tag)}, Args: []any{flag},
	})
	n, _ := reply.(int64)
	return int(n), err
}
