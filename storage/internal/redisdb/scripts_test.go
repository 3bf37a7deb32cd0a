package redisdb

import (
	"testing"
	"time"

	"github.com/opgrant/opgrant/storage/internal/luacover"
)

func TestScripts(t *testing.T) {
	type list = []any
	luacover.Run(t, func(int64) []luacover.Script {
		return []luacover.Script{
			{Name: "guard", Source: guard + "return {#KEYS, #ARGV, KEYS[1], ARGV[1]}", Completes: true, Cases: []luacover.Case{
				{
					Name: "the epoch of the process", Before: [][]any{{"SET", "epoch", "one"}},
					Keys: []string{"k", "epoch"}, Args: list{"a", "one"}, Reply: list{1, 1, "k", "a"},
				},
				{
					Name: "another epoch", Before: [][]any{{"SET", "epoch", "two"}},
					Keys: []string{"k", "epoch"}, Args: list{"a", "one"}, Error: "EPOCH ",
				},
				{Name: "an emptied Redis", Keys: []string{"k", "epoch"}, Args: list{"a", "one"}, Error: "EPOCH "},
			}},
			{Name: "commandScript", Source: commandScript.Source(), Completes: true, Cases: []luacover.Case{
				{
					Name: "SADD", Keys: []string{"k"}, Args: list{"SADD", "a", "b"}, Reply: 2, Again: 0,
					After: luacover.State{"k": luacover.Set{"a", "b"}},
				},
				{
					Name: "SREM", Before: [][]any{{"SADD", "k", "a", "b"}},
					Keys: []string{"k"}, Args: list{"SREM", "a"}, Reply: 1, Again: 0,
					After: luacover.State{"k": luacover.Set{"b"}},
				},
				{
					Name: "ZADD", Keys: []string{"k"}, Args: list{"ZADD", 0, "a", 0, "b"}, Reply: 2, Again: 0,
					After: luacover.State{"k": luacover.Scores{"a": 0, "b": 0}},
				},
				{
					Name: "ZREM", Before: [][]any{{"ZADD", "k", 0, "a", 0, "b"}},
					Keys: []string{"k"}, Args: list{"ZREM", "a"}, Reply: 1, Again: 0,
					After: luacover.State{"k": luacover.Scores{"b": 0}},
				},
				{
					Name: "SET with a TTL", Keys: []string{"k"}, Args: list{"SET", "v", "PX", time.Hour.Milliseconds()}, Reply: "OK",
					After: luacover.State{"k": "v"}, TTL: map[string]time.Duration{"k": time.Hour},
				},
				{
					Name: "DEL, without arguments", Before: [][]any{{"SET", "k", "v"}},
					Keys: []string{"k"}, Args: list{"DEL"}, Reply: 1, Again: 0, After: luacover.State{},
				},
				{
					Name: "a key of another type", Before: [][]any{{"SET", "k", "v"}},
					Keys: []string{"k"}, Args: list{"SADD", "a"}, Error: "WRONGTYPE",
				},
			}},
		}
	})
}
