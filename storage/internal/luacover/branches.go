package luacover

import (
	"fmt"
	"strings"

	"github.com/yuin/gopher-lua/parse"
)

// branch is a place of a script that runs under a condition.
type branch struct {
	part string // the file or the variable
	line int
	kind string
}

func (b branch) String() string { return fmt.Sprintf("%s:%d: %s", b.part, b.line, b.kind) }

// block is what an "end" or "until" will close.
type block struct {
	branch     // of an if: the else that it does not have
	is     int // the token that opened it
	open   bool
}

// instrument returns the source with a call of hit in each branch, and the branches. Lines stay where they are. The argument of a
// call is the name of the part and the number of the branch, see field.
func instrument(part, source string) (string, []branch, error) {
	i := &instrumenter{part: part, source: source, starts: []int{0}}
	for at, c := range []byte(source) {
		if c == '\n' {
			i.starts = append(i.starts, at+1)
		}
	}
	scanner, lexer := parse.NewScanner(strings.NewReader(source), part), &parse.Lexer{}
	for {
		token, err := scanner.Scan(lexer)
		if err != nil {
			return "", nil, err
		}
		if token.Type == parse.EOF {
			break
		}
		begin := i.starts[token.Pos.Line-1] + token.Pos.Column - 1
		if err := i.token(token.Type, token.Pos.Line, begin, begin+len(token.Str)); err != nil {
			return "", nil, err
		}
	}
	if len(i.blocks) > 0 {
		return "", nil, fmt.Errorf("luacover: %s: a block does not end", part)
	}
	return i.out.String() + source[i.copied:], i.branches, nil
}

type instrumenter struct {
	part, source string
	starts       []int // offset of each line
	copied       int   // how much of source is in out
	out          strings.Builder
	blocks       []block
	branches     []branch
}

// token puts in what belongs before or after one token.
func (i *instrumenter) token(is, line, begin, end int) error {
	switch is {
	case parse.TIf, parse.TFor, parse.TWhile, parse.TFunction:
		i.blocks = append(i.blocks, block{is: is, open: true, branch: branch{part: i.part, line: line, kind: "no branch of the if"}})
	case parse.TRepeat:
		i.blocks = append(i.blocks, block{is: is})
		i.insert(end, line, "body of repeat", " %s;")
	case parse.TThen:
		i.insert(end, line, "then", " %s;")
	case parse.TAnd:
		i.insert(end, line, "right side of and", " %s and")
	case parse.TOr:
		i.insert(end, line, "right side of or", " not %s or")
	}
	top := len(i.blocks) - 1
	switch is {
	case parse.TDo:
		if top >= 0 && i.blocks[top].open && (i.blocks[top].is == parse.TFor || i.blocks[top].is == parse.TWhile) {
			i.blocks[top].open = false
			i.insert(end, line, "body of the loop", " %s;")
			break
		}
		i.blocks = append(i.blocks, block{is: is})
	case ')':
		if top >= 0 && i.blocks[top].is == parse.TFunction && i.blocks[top].open { // the end of its parameters
			i.blocks[top].open = false
			i.insert(end, line, "function", " %s;")
		}
	case parse.TElse, parse.TEnd, parse.TUntil:
		if top < 0 {
			return fmt.Errorf("luacover: %s:%d: a block ends that did not begin", i.part, line)
		}
		isIf := i.blocks[top].is == parse.TIf && i.blocks[top].open
		switch {
		case is == parse.TElse:
			i.blocks[top].open = false
			i.insert(end, line, "else", " %s;")
			return nil
		case isIf:
			i.insert(begin, i.blocks[top].line, i.blocks[top].kind, "else %s ")
		}
		i.blocks = i.blocks[:top]
	}
	return nil
}

// insert puts a call at an offset of the source, in the format, and adds a branch.
func (i *instrumenter) insert(at, line int, kind, format string) {
	call := fmt.Sprintf("luacover_hit('%s')", field(i.part, len(i.branches)))
	i.branches = append(i.branches, branch{part: i.part, line: line, kind: kind})
	i.out.WriteString(i.source[i.copied:at])
	fmt.Fprintf(&i.out, format, call)
	i.copied = at
}

// field is the field of the hash in which a branch is counted.
func field(part string, n int) string { return fmt.Sprintf("%s:%d", part, n) }

// coverKey is the key of the hash that counts branches while a script runs. The script does not declare it, which a Redis Cluster
// would refuse.
const coverKey = "luacover"

// interrupted is part of the error of a script whose command was made to fail.
const interrupted = "interrupted by luacover"

// prologue goes before an instrumented script, on its first line. The script gets a clock that stands still at a time in ms, and its
// command of the number fails, which is counted from 1 and 0 for none.
func prologue(now int64, fail int) string {
	return fmt.Sprintf("local luacover_call, luacover_pcall, luacover_left = redis.call, redis.pcall, %d "+
		"local redis = setmetatable({call = function(name, ...) "+
		"luacover_left = luacover_left - 1 if luacover_left == 0 then error('%s') end "+
		"if name == 'TIME' then return {'%d', '%d'} end return luacover_call(name, ...) end, "+
		"pcall = function(...) "+
		"luacover_left = luacover_left - 1 if luacover_left == 0 then return {err = 'ERR %s'} end "+
		"return luacover_pcall(...) end}, {__index = redis}) "+
		"local function luacover_hit(n) luacover_call('HINCRBY', '%s', n, 1) return true end ",
		fail, interrupted, now/1000, now%1000*1000+123, interrupted, coverKey)
}
