package compat

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/opgrant/opgrant/compat/internal/strictjson"
)

// orderedObject is a JSON object whose members keep their order, which is that of the recorded server.
type orderedObject []orderedMember

type orderedMember struct {
	key   string
	value any
}

// MarshalJSON writes the members in their order.
func (o orderedObject) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i, m := range o {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, encodeJSON(m.key)...)
		b = append(b, ':')
		b = append(b, encodeJSON(m.value)...)
	}
	return append(b, '}'), nil
}

// roleObject is a role as it is stored. The recorded server moves the id of an altered role to the front.
func roleObject(r Role) orderedObject {
	id, permission, name := orderedMember{"id", r.ID}, orderedMember{"permission", r.Permission}, orderedMember{"role", r.Name}
	o := orderedObject{permission, name, id}
	if r.Updated.After(r.Created) {
		o = orderedObject{id, permission, name}
	}
	return append(o, timeMembers(r)...)
}

func timeMembers(r Role) orderedObject {
	return orderedObject{{"__updatedtime__", milliseconds(r.Updated)}, {"__createdtime__", milliseconds(r.Created)}}
}

// milliseconds writes a time as the recorded server does, with a fraction if there is one.
func milliseconds(t time.Time) json.Number {
	return json.Number(strconv.FormatFloat(float64(t.UnixMicro())/1000, 'f', -1, 64))
}

// userTime leaves out a time that is not known.
func userTime(t time.Time) json.Number {
	if t.IsZero() {
		return ""
	}
	return milliseconds(t)
}

// systemTables are the tables that list_users adds to the permissions of every role.
var systemTables = strings.Fields("hdb_user hdb_role hdb_job hdb_license hdb_info hdb_nodes hdb_certificate " +
	"hdb_analytics_hostname hdb_analytics hdb_raw_analytics hdb_temp hdb_durable_session hdb_session_will " +
	"hdb_certificate_cache hdb_crl_cache hdb_revoked_certificates")

// tablePermission is what a role may do with one table.
type tablePermission struct {
	Read       bool       `json:"read"`
	Insert     bool       `json:"insert"`
	Update     bool       `json:"update"`
	Delete     bool       `json:"delete"`
	Attributes []struct{} `json:"attribute_permissions"`
}

// roleObjectWithSystemTables is a role as list_users returns it.
func roleObjectWithSystemTables(r Role) orderedObject {
	_, members, err := strictjson.Parse(r.Permission)
	if err != nil {
		return roleObject(r)
	}
	var permission orderedObject
	super := false
	for _, m := range members {
		if m.Key != "system" {
			permission = append(permission, orderedMember{m.Key, m.Value.Raw})
		}
		super = super || m.Key == "super_user" && jsValue{m.Value}.truthy()
	}
	var tables orderedObject
	for _, name := range systemTables {
		tables = append(tables, orderedMember{name, tablePermission{Read: super, Attributes: []struct{}{}}})
	}
	r.Permission = encodeJSON(append(permission, orderedMember{"system", orderedObject{{"tables", tables}}}))
	return roleObject(r)
}

// echoRole repeats a role as the caller has sent it, then the member that may have been left out, then the times.
func echoRole(o *operation, optional orderedMember, times orderedObject) orderedObject {
	var echo orderedObject
	sent := false
	for _, m := range o.members {
		switch {
		case m.Key == optional.key && !jsValue{m.Value}.truthy():
		case m.Key == "role" || m.Key == "id" || m.Key == "permission":
			echo = append(echo, orderedMember{m.Key, m.Value.Raw})
			sent = sent || m.Key == optional.key
		}
	}
	if !sent {
		echo = append(echo, optional)
	}
	return append(echo, times...)
}
