package throttle

import (
	_ "embed"
	"errors"
	"time"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
	"github.com/opgrant/opgrant/storage/internal/unavailable"
)

//go:embed bucket.lua
var bucketSource string

//go:embed reserve.lua
var reserveSource string

//go:embed settle.lua
var settleSource string

var (
	reserveScript = redisdb.NewScript(bucketSource + reserveSource)
	settleScript  = redisdb.NewScript(bucketSource + settleSource)
)

const (
	// flightTime is how long an attempt may be without a result before it is taken for a failure whose process has died. It is
	// longer than an attempt that waits, asks another server for the user and hashes.
	flightTime = 90 * time.Second
	// secretTime is the same for a wrong client secret, which is a failure from the start: for so long a lost reply does not make it
	// count twice. It is short, because anybody can make up names of clients, and Redis holds each for as long.
	secretTime = 10 * time.Second
	// knownTTL is how long it is remembered that a user has logged in from a network.
	knownTTL = 90 * 24 * time.Hour

	maxKnown    = 32  // networks that a user has logged in from
	maxNetworks = 256 // networks with failures of one user or client
	maxLabel    = 256 // bytes of a name that are stored for lists
)

// counter names the buckets of one user, network or client, which lie in one Redis Cluster slot. A user and a client have one for
// each network, and a user and a network have one without.
type counter struct {
	tag             string
	label           string // for lists
	network         string // empty: none
	perNetwork, all limit
}

func (t *Throttle) userCounter(user, network string) counter {
	return counter{
		tag: redisdb.SubjectTag(user), label: label(kindUser, user), network: network,
		perNetwork: limitOf(t.limits.PerUserNetwork, t.limits.Window), all: limitOf(t.limits.PerUser, t.limits.UserWindow),
	}
}

func (t *Throttle) networkCounter(network string) counter {
	return counter{tag: networkTag(network), label: label(kindNetwork, network), all: limitOf(t.limits.PerNetwork, t.limits.Window)}
}

func (t *Throttle) clientCounter(client, network string) counter {
	return counter{
		tag: clientTag(client), label: label(kindClient, client), network: network,
		perNetwork: limitOf(t.limits.PerClient, t.limits.Window), all: limitOf(-1, 0),
	}
}

func networkTag(network string) string {
	return redisdb.Hash("network\x00" + network)[:redisdb.TagLength]
}

func clientTag(client string) string { return redisdb.Hash("client\x00" + client)[:redisdb.TagLength] }

// The kinds of counters, as lists show them.
const (
	kindUser    = "user"
	kindNetwork = "network"
	kindClient  = "client"
)

func label(kind, name string) string { return kind + ":" + name[:min(len(name), maxLabel)] }

func (t *Throttle) keys(c counter) []string {
	return []string{t.db.Keys.Failures(c.tag), t.db.Keys.KnownNetworks(c.tag)}
}

func (t *Throttle) reserveCall(c counter, id string, flightTime time.Duration) redisdb.Call {
	return redisdb.Call{Script: reserveScript, Keys: t.keys(c), Args: []any{
		id, c.label, c.network, c.perNetwork.interval, c.perNetwork.failures, c.all.interval, c.all.failures,
		flightTime.Milliseconds(), maxNetworks,
	}}
}

func (t *Throttle) settleCall(c counter, id string, result Result) redisdb.Call {
	return redisdb.Call{Script: settleScript, Keys: t.keys(c), Args: []any{
		id, string(result), c.network, c.perNetwork.interval, c.all.interval, knownTTL.Milliseconds(), maxKnown,
	}}
}

// reservation is the reply of reserve.lua.
type reservation struct {
	status int64 // counted, full or busy
	wait   time.Duration
	field  string // the bucket that is full
	known  bool   // the user has logged in from the network before
}

const (
	counted = 0
	full    = 1 // of failures
	busy    = 2 // full with the attempts in flight
)

// errReply is the cause when Redis answers something else than the scripts do: nothing was counted then.
var errReply = errors.New("unexpected reply of a script")

func readReservation(reply any) (reservation, error) {
	list, _ := reply.([]any)
	if len(list) != 4 {
		return reservation{}, unavailable.Error(opReserve, errReply)
	}
	var r reservation
	r.status, _ = list[0].(int64)
	ms, _ := list[1].(int64)
	r.wait = time.Duration(ms) * time.Millisecond
	r.field, _ = list[2].(string)
	known, _ := list[3].(int64)
	r.known = known == 1
	return r, nil
}
