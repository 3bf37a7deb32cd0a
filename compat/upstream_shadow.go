package compat

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/opgrant/opgrant/compat/internal/strictjson"
)

// The outcomes of shadowing one operation.
const (
	ShadowSame    = "same"    // status and shape agree
	ShadowDiffers = "differs" // they do not, and both were logged
	ShadowFailed  = "failed"  // the upstream did not answer
	ShadowDropped = "dropped" // too many shadowed operations were under way
)

// ShadowResult compares the answers to one operation.
type ShadowResult struct {
	Operation string
	Outcome   string
	// Status is that of the answer here, UpstreamStatus that of the upstream, 0 without an answer.
	Status, UpstreamStatus int
}

// shadowOperations are the operations that are compared: those that are answered here and only read. A login at the upstream would
// revoke the user's refresh token there.
var shadowOperations = map[string]bool{"user_info": true, "list_users": true, "list_roles": true}

// shadowed tells whether a request that has been answered with a status is compared. It goes along with the credentials in its
// own header, which have been checked.
func (h *Handler) shadowed(c *call, status int) bool {
	return h.upstream != nil && h.upstream.Shadow && c.op != nil && shadowOperations[c.op.name()] &&
		c.credentials.caller != nil && status < http.StatusInternalServerError
}

// shadow sends an operation that has been answered here to the upstream, in the background, and compares the answers. It logs
// statuses and the names of members, and never their values.
func (u *upstreamClient) shadow(c *call, status int, shape string) {
	operation := c.op.name()
	report := func(result ShadowResult) {
		if u.OnShadow != nil {
			u.OnShadow(result)
		}
	}
	authorization, err := c.ownAuthorization()
	if err != nil || c.checkInternalMembers() != nil {
		return
	}
	select {
	case u.shadows <- struct{}{}:
	default:
		report(ShadowResult{Operation: operation, Outcome: ShadowDropped, Status: status})
		return
	}
	header := http.Header{"Content-Type": {"application/json"}, "Authorization": {authorization}, "User-Agent": {c.r.UserAgent()}}
	body := c.body
	ctx := context.WithoutCancel(c.ctx())
	go func() {
		defer func() { <-u.shadows }()
		defer func() {
			// Nothing else recovers in this goroutine, and the transport and the hook are others' code.
			if cause := recover(); cause != nil {
				u.log.ErrorContext(ctx, "panic in shadow mode", "operation", operation, "panic", cause)
			}
		}()
		ctx, cancel := context.WithTimeout(ctx, u.Timeout)
		defer cancel()
		result := ShadowResult{Operation: operation, Outcome: ShadowFailed, Status: status}
		defer func() { report(result) }()
		upstreamStatus, answer, err := u.post(ctx, header, body)
		if err != nil {
			u.log.WarnContext(ctx, "upstream did not answer in shadow mode", "operation", operation, "error", err)
			return
		}
		result.UpstreamStatus, result.Outcome = upstreamStatus, ShadowSame
		if upstreamShape := shapeOfBody(answer); upstreamStatus != status || upstreamShape != shape {
			result.Outcome = ShadowDiffers
			u.log.WarnContext(ctx, "upstream answers differently", "operation", operation,
				"status", status, "upstream_status", upstreamStatus, "shape", shape, "upstream_shape", upstreamShape)
		}
	}()
}

// shapeOf is the shape of the answer here.
func shapeOf(result any, err error) string {
	if err != nil {
		return shapeOfBody(asAPIError(err).encode())
	}
	return shapeOfBody(encodeJSON(result))
}

// maxShape bounds the names of members in a shape, and their number.
const maxShape = 32

// shapeOfBody names the members of an object and their types. A name that has other characters than letters, digits and _ is replaced: an upstream could
// put a value into it.
func shapeOfBody(body []byte) string {
	top, members, err := strictjson.Parse(body)
	if err != nil {
		return "not JSON"
	}
	if top.Kind() != strictjson.Object {
		return top.Kind().String()
	}
	names := make([]string, 0, len(members))
	for _, m := range members {
		name := m.Key
		if !namePattern.MatchString(name) || len(name) > maxShape {
			name = "?"
		}
		names = append(names, name+":"+m.Value.Kind().String())
	}
	slices.Sort(names)
	return "{" + strings.Join(names[:min(len(names), maxShape)], ",") + "}"
}
