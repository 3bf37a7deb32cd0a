package luacover

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/opgrant/opgrant/storage/storagetest"
)

const sample = `-- if true then else end
local text = 'if x then' .. [[
function () end ]] --[[ while true do
end ]]
local n = tonumber(ARGV[1])
local function twice(x)
  return 2 * x
end
if n == 1 then
  return 'one'
elseif n == 2 and ARGV[2] then
  return 'two'
elseif n == 3 then
  n = n == 3 and twice(n) or 'no'
else
  for i = 1, n do text = text .. '.' end
end
do
  while n == 6 do n = 7 end
end
repeat n = n + 1 until n > 10
if n == 11 then return n end
if (function(a, b) return a > b end)(n, 12) then return 'much' end
return text`

func TestInstrument(t *testing.T) {
	got, branches, err := instrument("sample.lua", sample)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, b := range branches {
		list = append(list, b.String())
	}
	want := []string{
		"sample.lua:6: function", "sample.lua:9: then", "sample.lua:11: right side of and", "sample.lua:11: then", "sample.lua:13: then",
		"sample.lua:14: right side of and", "sample.lua:14: right side of or", "sample.lua:15: else", "sample.lua:16: body of the loop",
		"sample.lua:19: body of the loop", "sample.lua:21: body of repeat", "sample.lua:22: then", "sample.lua:22: no branch of the if",
		"sample.lua:23: function", "sample.lua:23: then", "sample.lua:23: no branch of the if",
	}
	if diff := cmp.Diff(want, list); diff != "" {
		t.Errorf("branches (-want +got):\n%s", diff)
	}
	if n, m := strings.Count(got, "\n"), strings.Count(sample, "\n"); n != m {
		t.Errorf("%d lines, want %d", n, m)
	}
	for _, bad := range []string{"if true then", "end", "x = 'open"} {
		if _, _, err := instrument("bad.lua", bad); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

// A script replies with its counters what it replies without, and Redis counts the branches that ran and no others.
func TestInstrumentedScriptRepliesTheSame(t *testing.T) {
	client := storagetest.StartRedis(t, storagetest.Options{}).Client(t)
	ctx := context.Background()
	source, branches, err := instrument("sample.lua", sample)
	if err != nil {
		t.Fatal(err)
	}
	r := report{hits: make(map[string]int)}
	r.add("sample.lua", branches)
	const clock = "return redis.call('TIME')"
	if now, err := client.Eval(ctx, prologue(1_700_000_000_123, 0)+clock, nil).StringSlice(); err != nil || now[0] != "1700000000" || now[1] != "123123" {
		t.Errorf("TIME: %v, %v", now, err)
	}
	for _, step := range []struct {
		args   []any
		missed string // lines of the branches that have not run yet
	}{
		{[]any{1}, "6 11 13 14 15 16 19 21 22 23"},
		{[]any{2}, "6 11 13 14 19 22 23"},
		{[]any{2, "x"}, "6 13 14 19 22 23"},
		{[]any{3}, "14 22 23"},
		{[]any{12}, "14 23"},
	} {
		want, err := client.Eval(ctx, sample, nil, step.args...).Result()
		if err != nil {
			t.Fatal(err)
		}
		got, err := client.Eval(ctx, prologue(0, 0)+source, nil, step.args...).Result()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%v (-want +got):\n%s", step.args, diff)
		}
		runner{client: client, hits: r.hits}.count(t)
		if line := strings.Split(r.table(), "\n")[1]; !strings.HasSuffix(line, "  "+step.missed) {
			t.Errorf("after %v: %s, want the lines %s", step.args, line, step.missed)
		}
	}
}
