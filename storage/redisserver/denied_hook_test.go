package redisserver_test

import (
	"context"
	"fmt"
	"maps"
	"net"
	"regexp"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/opgrant/opgrant/storage/internal/redisdb"
)

// denier is a hook of the client of a store. It sends a script with an error in place of one of the commands that it calls.
type denier struct {
	mutex  sync.Mutex
	target target
	on     bool
	runs   int                      // of the script
	used   map[*redisdb.Script]bool // all that have run
	failed []failure                // what has, of each run
}

// target is a command that is to fail: in all runs of the script from one on, the command that the script calls as the nth one.
type target struct {
	script        *redisdb.Script
	command, kind string // of redisdb.Command, whose script is the same for all
	run           int    // from 0
	call          int    // from 1
	distinct      bool   // of calls of one command with one key only the first one counts
	resent        bool   // the script has run before, and its reply was lost
}

// failure is a command that has failed.
type failure struct {
	site    int    // in the source of the script, from 1
	command string // in upper case
	kind    string // of its key, or where it has none, of the first key
}

// run is a script that is about to run.
type run struct {
	script     *redisdb.Script
	guarded    bool // the epoch is the last key and the last argument
	keys, args []string
	cmd        redis.Cmder
}

func (d *denier) arm(t target) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	d.target, d.on, d.runs, d.failed = t, true, 0, nil
}

// disarm tells what has failed.
func (d *denier) disarm() []failure {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	d.on = false
	return d.failed
}

// scripts are those that have run.
func (d *denier) scripts() map[*redisdb.Script]bool {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	return maps.Clone(d.used)
}

// choose returns those of the commands that run the script of the target and are to fail, and how many ran it before them.
func (d *denier) choose(cmds []redis.Cmder) (chosen []run, before int, resent bool) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	before = d.runs
	for _, cmd := range cmds {
		r := scriptOf(cmd)
		if r.script == nil {
			continue
		}
		d.used[r.script] = true
		if !d.on || !d.target.matches(r) {
			continue
		}
		if d.runs >= d.target.run {
			chosen = append(chosen, r)
		}
		d.runs++
	}
	return chosen, before, d.target.resent
}

func (t target) matches(r run) bool {
	return r.script == t.script && (t.kind == "" || kindOf(r.keys[0]) == t.kind && r.args[0] == t.command)
}

// around calls send, with the target failing if one of the commands runs its script.
func (d *denier) around(cmds []redis.Cmder, send func() error) error {
	chosen, before, resent := d.choose(cmds)
	if len(chosen) > 0 && resent {
		_ = send()
	}
	for _, r := range chosen {
		args := r.cmd.Args()
		name, source := args[0], args[1]
		args[0], args[1] = "eval", d.target.source(r)
		defer func() { args[0], args[1] = name, source }()
	}
	err := send()
	d.mutex.Lock()
	defer d.mutex.Unlock()
	for _, cmd := range cmds {
		if redis.HasErrorPrefix(cmd.Err(), "NOSCRIPT") || redis.HasErrorPrefix(err, "NOSCRIPT") {
			d.runs = before // they are sent again
			return err
		}
	}
	for _, r := range chosen {
		reason := r.cmd.Err()
		if len(cmds) == 1 && reason == nil {
			reason = err // go-redis gives it to the command later
		}
		if f, ok := parseFailure(r, reason); ok && d.on {
			d.failed = append(d.failed, f)
		}
	}
	return err
}

var callSites = regexp.MustCompile(`redis\.p?call\(`)

// source is a script in which the command fails.
func (t target) source(r run) string {
	number := 0
	source := callSites.ReplaceAllStringFunc(withoutComments(r.script), func(call string) string {
		number++
		return fmt.Sprintf("call_site(%d, %v, ", number, call == "redis.pcall(")
	})
	prologue := fmt.Sprintf(`local calls, called, distinct = 0, {}, %v
local function call_site(site, protected, command, key, ...)
  local id = command .. ' ' .. tostring(key)
  local counts = not (distinct and called[id])
  called[id] = true
  if counts then calls = calls + 1 end
  if counts and calls == %d then
    local at = 1
    for i, k in ipairs(KEYS) do if k == key then at = i end end
    local text = string.format('DENIED %%d %%s %%d', site, command, at)
    if protected then return {err = text} end
    error(text)
  end
  local does = protected and redis.pcall or redis.call
  if key == nil then return does(command) end
  return does(command, key, ...)
end
`, t.distinct, t.call)
	if r.guarded {
		prologue += "table.remove(KEYS) table.remove(ARGV)\n"
	}
	return prologue + source
}

// parseFailure reads the error of a script in which a command failed.
func parseFailure(r run, err error) (f failure, ok bool) {
	if err == nil {
		return f, false
	}
	_, text, found := strings.Cut(err.Error(), "DENIED ")
	if !found {
		return f, false
	}
	var key int
	_, _ = fmt.Sscanf(text, "%d %s %d", &f.site, &f.command, &key)
	f.kind = kindOf(r.keys[max(key, 1)-1])
	return f, true
}

type known struct {
	script  *redisdb.Script
	guarded bool
}

var scriptsByName = func() map[string]known {
	m := make(map[string]known)
	for _, script := range redisdb.Scripts() {
		for i, hash := range script.Hashes() {
			m[hash] = known{script, i == 0}
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
	var found known
	switch cmd.Name() {
	case "evalsha":
		found = scriptsByName[text(1)]
	case "eval":
		found = scriptsByName[redis.NewScript(text(1)).Hash()]
	}
	r := run{script: found.script, guarded: found.guarded, cmd: cmd}
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
