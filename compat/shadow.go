package compat

import (
	"context"
	"errors"
	"net/http"
	"sort"
	"strings"
)

// The outcomes of shadowing one operation.
const (
	ShadowSame    = "same"    // status and shape agree
	ShadowDiffers = "differs" // they do not, and both were logged
	ShadowFailed  = "failed"  // the upstream did not answer
	ShadowDropped = "dropped" // too many were under way
)

// Shadowed is what came of sending one token operation to the upstream too.
type Shadowed struct {
	Operation string
	Outcome   string
	// Ours and Theirs are the statuses; Theirs is 0 when there is none.
	Ours, Theirs int
}

// shadow sends a token operation to the upstream, in the background and after it has been answered here, and reports how the
// answers differ. It logs statuses and the names of members, never a value: they are passwords and tokens.
func (p *peer) shadow(r *http.Request, operation string, body []byte, status int, shape string) {
	done := func(s Shadowed) {
		if p.OnShadow != nil {
			p.OnShadow(s)
		}
	}
	select {
	case p.shadows <- struct{}{}:
	default:
		done(Shadowed{Operation: operation, Outcome: ShadowDropped, Ours: status})
		return
	}
	header := http.Header{}
	for _, name := range []string{"Content-Type", "Authorization", "User-Agent"} {
		if values := r.Header.Values(name); len(values) > 0 {
			header[name] = values
		}
	}
	ctx := context.WithoutCancel(r.Context())
	go func() {
		defer func() { <-p.shadows }()
		ctx, cancel := context.WithTimeout(ctx, p.Timeout)
		defer cancel()
		s := Shadowed{Operation: operation, Outcome: ShadowFailed, Ours: status}
		defer func() { done(s) }()
		theirs, answer, err := p.ask(ctx, header, body)
		if err != nil {
			p.log.WarnContext(ctx, "upstream did not answer in shadow mode", "operation", operation, "error", err)
			return
		}
		s.Theirs, s.Outcome = theirs, ShadowSame
		if other := shapeOfBody(answer); theirs != status || other != shape {
			s.Outcome = ShadowDiffers
			p.log.WarnContext(ctx, "upstream answers differently", "operation", operation,
				"status", status, "upstream_status", theirs, "shape", shape, "upstream_shape", other)
		}
	}()
}

// shapeOf is the shape of our answer.
func shapeOf(result any, err error) string {
	if f := (*failure)(nil); errors.As(err, &f) {
		return shapeOfBody(f.encode())
	}
	if err != nil {
		return shapeOfBody(dontKnow(err).encode())
	}
	return shapeOfBody(encode(result))
}

// kinds names the types of JSON values.
var kinds = map[kind]string{null: "null", boolean: "boolean", number: "number", text: "string", array: "array", object: "object"}

// shapeOfBody names the members of an object and their types, without their values. Names that are not plain words are not
// repeated: a lying upstream could put anything there.
func shapeOfBody(body []byte) string {
	top, members, err := scan(body)
	if err != nil {
		return "not JSON"
	}
	if top.kind() != object {
		return kinds[top.kind()]
	}
	names := make([]string, 0, len(members))
	for _, m := range members {
		name := m.key
		if !word.MatchString(name) || len(name) > 32 {
			name = "?"
		}
		names = append(names, name+":"+kinds[value{m.raw}.kind()])
	}
	sort.Strings(names)
	return "{" + strings.Join(names[:min(len(names), 32)], ",") + "}"
}
