package redisserver_test

import (
	"context"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
)

const (
	deniedUser     = "store"
	deniedPassword = "one-of-a-test"
)

// denier is a hook of the client of a store. It takes a command away from the Redis user of the store while a script runs, and
// gives it back.
type denier struct {
	t     *testing.T
	admin *redis.Client

	mutex   sync.Mutex
	target  site
	on      bool
	number  int  // of the run of the script that fails, from 0
	resent  bool // it has run before, and its reply was lost
	runs    map[*redisdb.Script]int
	used    map[*redisdb.Script]bool // all that have run
	kind    string                   // of the key
	reached bool                     // the command was called, and refused
}

// run is a script that is about to run.
type run struct {
	script     *redisdb.Script
	keys, args []string
	cmd        redis.Cmder
}

// arm makes the command fail in all runs of its script from one on.
func (d *denier) arm(target site, number int, resent bool) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	d.target, d.number, d.resent, d.on, d.reached, d.runs = target, number, resent, true, false, map[*redisdb.Script]int{}
}

// scripts are those that have run.
func (d *denier) scripts() map[*redisdb.Script]bool {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	return maps.Clone(d.used)
}

// disarm tells whether the command has failed, and of what kind the key was.
func (d *denier) disarm() (kind string, reached bool) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	d.on = false
	return d.kind, d.reached
}

// around calls send while the target is denied, if one of the commands runs its script.
func (d *denier) around(cmds []redis.Cmder, send func() error) error {
	var scripts, mine, others []run
	for _, cmd := range cmds {
		if r := scriptOf(cmd); r.script != nil {
			scripts = append(scripts, r)
		}
	}
	if len(scripts) == 0 {
		return send()
	}
	d.mutex.Lock()
	defer d.mutex.Unlock() // scripts of the background would meet what is denied to this one
	for _, r := range scripts {
		d.used[r.script] = true
		if d.on && d.matches(r) {
			mine = append(mine, r)
		} else {
			others = append(others, r)
		}
	}
	if len(mine) == 0 {
		return send()
	}
	denied := d.runs[d.target.script] >= d.number
	if denied {
		if d.resent {
			_ = send()
		}
		d.setUser(d.rules(mine, others)...)
	}
	err := send()
	if denied {
		d.setUser("clearselectors", "+@all")
	}
	for _, r := range mine {
		failure := r.cmd.Err()
		if len(cmds) == 1 && failure == nil {
			failure = err // go-redis gives it to the command later
		}
		if redis.HasErrorPrefix(failure, "NOSCRIPT") {
			return err
		}
		if isDenial(failure) {
			d.kind, d.reached = kindOf(r.keys[max(d.target.key, 1)-1]), true
		}
	}
	d.runs[d.target.script]++
	return err
}

func (d *denier) matches(r run) bool {
	return r.script == d.target.script &&
		(d.target.kind == "" || kindOf(r.keys[0]) == d.target.kind && r.args[0] == d.target.command)
}

// rules take the command away: from the keys of that number alone, if the target says so.
func (d *denier) rules(mine, others []run) []string {
	name := strings.ToLower(d.target.command)
	var denied []string
	allowed := []string{keys.Epoch()}
	for _, r := range mine {
		if d.target.key > 0 {
			denied = append(denied, r.keys[d.target.key-1])
			allowed = append(allowed, r.keys...)
		}
	}
	for _, r := range others {
		allowed = append(allowed, r.keys...)
	}
	if d.target.key == 0 && name != "get" { // the epoch is read by GET
		return []string{"-" + name}
	}
	selector := "(+" + name
	for _, key := range allowed {
		if !slices.Contains(denied, key) {
			selector += " ~" + pattern(key)
		}
	}
	return []string{"-" + name, selector + ")"}
}

// pattern matches a key, and has no byte that means something else in an ACL rule.
func pattern(key string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("{}:_-.", r) || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' {
			return r
		}
		return '?'
	}, string(latin1(key)))
}

// latin1 makes one rune of each byte.
func latin1(s string) []rune {
	runes := make([]rune, len(s))
	for i := range len(s) {
		runes[i] = rune(s[i])
	}
	return runes
}

func (d *denier) setUser(rules ...string) {
	args := []any{"ACL", "SETUSER", deniedUser}
	for _, rule := range rules {
		args = append(args, rule)
	}
	if err := d.admin.Do(context.Background(), args...).Err(); err != nil {
		d.t.Errorf("ACL SETUSER %q: %v", rules, err)
	}
}

var scriptsByName = func() map[string]*redisdb.Script {
	m := make(map[string]*redisdb.Script)
	for _, script := range redisdb.Scripts() {
		for _, hash := range script.Hashes() {
			m[hash] = script
		}
	}
	return m
}()

// scriptOf reads EVAL and EVALSHA. The script of another command is nil.
func scriptOf(cmd redis.Cmder) run {
	args := cmd.Args()
	text := func(i int) string {
		switch v := args[i].(type) {
		case string:
			return v
		case []byte:
			return string(v)
		}
		return ""
	}
	r := run{cmd: cmd}
	switch cmd.Name() {
	case "evalsha":
		r.script = scriptsByName[text(1)]
	case "eval":
		r.script = scriptsByName[redis.NewScript(text(1)).Hash()]
	}
	if r.script == nil {
		return r
	}
	n, _ := args[2].(int)
	for i := range args[3:] {
		if i < n {
			r.keys = append(r.keys, text(3+i))
		} else {
			r.args = append(r.args, text(3+i))
		}
	}
	return r
}

func (d *denier) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (d *denier) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		return d.around([]redis.Cmder{cmd}, func() error { return next(ctx, cmd) })
	}
}

func (d *denier) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		return d.around(cmds, func() error { return next(ctx, cmds) })
	}
}

// isDenial tells whether a script failed for want of a permission: by the text of Redis 7.0 or of later ones.
func isDenial(err error) bool {
	return err != nil && (strings.Contains(err.Error(), "executing the script can't") || strings.Contains(err.Error(), "ACL failure"))
}
