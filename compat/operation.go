package compat

import (
	"bytes"
	"net/http"
)

// Operation is one request of the operations API: a JSON object whose `operation` says what to do.
type Operation struct {
	operation value
	members   []member
}

// noOperation is the recorded text for bodies that name none.
const noOperation = "Request body must include an 'operation' property."

// ParseOperation reads the body of a request. What it accepts is an object with an operation that is not null, in UTF-8,
// without a key that stands twice in one object, compared letter by letter. Its errors are the answers to the caller.
func ParseOperation(body []byte) (*Operation, error) {
	top, members, err := scan(body)
	if err != nil {
		return nil, &failure{status: http.StatusBadRequest, message: err.Error()}
	}
	switch {
	case top.kind() == null:
		return nil, &failure{
			status: http.StatusBadRequest, layer: framework,
			message: "Cannot read properties of null (reading 'operation')",
		}
	case top.kind() == object && len(members) > 0, top.kind() == array && !top.empty():
	default:
		return nil, &failure{status: http.StatusBadRequest, layer: framework, message: noOperation}
	}
	o := &Operation{members: members}
	o.operation = o.get("operation")
	if o.operation.nullish() {
		return nil, &failure{status: http.StatusBadRequest, message: noOperation}
	}
	return o, nil
}

// Name is the operation, empty when it is not a string.
func (o *Operation) Name() string { return o.operation.text() }

// Encode writes the operation with its members in their order and their values as they were.
func (o *Operation) Encode() []byte {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o.members {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(encode(m.key))
		b.WriteByte(':')
		b.Write(m.raw)
	}
	b.WriteByte('}')
	return b.Bytes()
}

// get returns a member, compared letter by letter.
func (o *Operation) get(key string) value {
	for _, m := range o.members {
		if m.key == key {
			return value{m.raw}
		}
	}
	return value{}
}
