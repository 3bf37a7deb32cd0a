package compat

import (
	"bytes"
	"io"
)

// stream answers an operation whose body is larger than the limit: it goes to the upstream without having been read whole, if
// its beginning says that it is no operation of ours. The caller has to stand in the header.
func (h *Handler) stream(c *call, beginning []byte) (any, error) {
	g := &guard{keys: map[string]struct{}{}}
	if err := g.feed(bytes.TrimPrefix(beginning, []byte("\ufeff"))); err != nil {
		return nil, err
	}
	name, ok := g.operation()
	if !ok || h.ours(name) {
		return nil, tooLarge()
	}
	c.op = &Operation{operation: value{g.name}, members: []member{{"operation", g.name}}}
	p := &passOn{length: c.r.ContentLength}
	if !withoutCaller[name] {
		caller, err := h.authorize(c.r, c.op, c.by)
		if err != nil {
			return nil, err
		}
		p.caller, c.user = caller, caller.Name
	}
	p.body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(beginning), &guarded{guard: g, rest: c.r.Body}), c.r.Body}
	return p, nil
}

// guarded passes on the rest of a body as long as the guard has nothing against it.
type guarded struct {
	guard *guard
	rest  io.Reader
}

func (g *guarded) Read(p []byte) (int, error) {
	n, err := g.rest.Read(p)
	if refused := g.guard.feed(p[:n]); refused != nil {
		return 0, refused
	}
	return n, err
}

// guard watches the top-level keys of a JSON object in passing. It leaves the grammar to the upstream and sees to one thing:
// that no key comes twice, so that the operation that was checked is the operation that is run.
type guard struct {
	depth   int
	inText  bool
	escaped bool
	isKey   bool   // the text being read is a top-level key
	wantKey bool   // the next top-level text is a key
	text    []byte // the text being read, with its quotes, if it is kept
	keep    bool
	key     string
	name    []byte // the text of the operation
	keys    map[string]struct{}
}

// maxKey bounds the top-level texts that are kept.
const maxKey = 4096

func (g *guard) operation() (string, bool) {
	return value{g.name}.text(), len(g.name) > 0
}

func (g *guard) feed(p []byte) error {
	for _, c := range p {
		if g.inText {
			if err := g.inside(c); err != nil {
				return err
			}
			continue
		}
		switch c {
		case '"':
			g.inText, g.isKey = true, g.depth == 1 && g.wantKey
			g.keep = g.isKey || g.depth == 1 && g.key == "operation" && g.name == nil
			g.text = append(g.text[:0], c)
		case '{', '[':
			g.depth++
			g.wantKey = g.depth == 1 && c == '{'
		case '}', ']':
			g.depth--
		case ',':
			g.wantKey = g.depth == 1
		case ':':
			g.wantKey = false
		}
	}
	return nil
}

// inside reads one byte of a text.
func (g *guard) inside(c byte) error {
	if g.keep {
		g.text = append(g.text, c)
		if len(g.text) > maxKey {
			return tooLarge()
		}
	}
	switch {
	case g.escaped:
		g.escaped = false
	case c == '\\':
		g.escaped = true
	case c == '"':
		g.inText = false
		return g.end()
	}
	return nil
}

// end takes a text that has ended for what it is.
func (g *guard) end() error {
	if !g.keep {
		return nil
	}
	v, _, err := scan(bytes.Clone(g.text))
	if err != nil {
		return badRequest(err.Error())
	}
	if !g.isKey {
		g.name = v.raw
		return nil
	}
	g.key = v.text()
	if _, twice := g.keys[g.key]; twice {
		return badRequest("Duplicate property name in JSON")
	}
	g.keys[g.key] = struct{}{}
	return nil
}
