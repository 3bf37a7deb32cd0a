package compat

import (
	"errors"
	"net/http"

	"github.com/opgrant/opgrant/compat/internal/strictjson"
)

// operation is the body of one request: a JSON object whose member `operation` says what to do.
type operation struct {
	value   jsValue // of `operation`
	members []strictjson.Member
}

// parseOperation reads the body of a request. It accepts an object with an `operation` that is not null. Its errors are the
// answers to the caller.
func parseOperation(body []byte) (*operation, error) {
	top, members, err := strictjson.Parse(body)
	if err != nil {
		return nil, bodyError(err)
	}
	notEmpty := len(members) > 0 || top.Kind() == strictjson.Array && !(jsValue{top}).empty()
	switch {
	case top.Kind() == strictjson.Null:
		return nil, frameworkError("Cannot read properties of null (reading 'operation')")
	case !notEmpty:
		return nil, frameworkError(noOperationText)
	}
	o := newOperation(members)
	if o.value.nullish() {
		return nil, badRequest(noOperationText)
	}
	return o, nil
}

func newOperation(members []strictjson.Member) *operation {
	o := &operation{members: members}
	o.value = o.get("operation")
	return o
}

// bodyError is the answer to a body that strictjson refuses.
func bodyError(err error) *apiError {
	switch {
	case errors.Is(err, strictjson.ErrNotUTF8):
		return badRequest(bodySizeText)
	case errors.Is(err, strictjson.ErrTooManyKeys):
		return tooLarge()
	}
	return badRequest(err.Error())
}

func tooLarge() *apiError {
	return &apiError{status: http.StatusRequestEntityTooLarge, message: "Request body is too large", unread: true}
}

// name is the operation, or "" when it is not a string.
func (o *operation) name() string { return o.value.Text() }

// get returns a member. Keys are compared letter by letter.
func (o *operation) get(key string) jsValue {
	for _, m := range o.members {
		if m.Key == key {
			return jsValue{m.Value}
		}
	}
	return jsValue{}
}
