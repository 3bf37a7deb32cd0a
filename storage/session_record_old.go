package storage

import (
	"encoding/json"
	"fmt"
)

// oldSession is a record of the version before.
type oldSession struct {
	Version          int              `json:"v"`
	ID               string           `json:"id"`
	Doc              string           `json:"d"`
	Created          int64            `json:"at"`
	LastUsed         int64            `json:"l"`
	Address          string           `json:"ip"`
	UserAgent        string           `json:"ua"`
	Ends             int64            `json:"x"`
	Generation       string           `json:"g"`
	ClientGeneration string           `json:"cg"`
	Parent           string           `json:"f"`
	Current          string           `json:"c"`
	CurrentExpires   int64            `json:"ce"`
	Previous         string           `json:"p"`
	Used             string           `json:"u"`
	Access           map[string]int64 `json:"a"`
	SelfContained    bool             `json:"j"`
	AccessExpires    int64            `json:"ae"`
	Revoked          map[string]int64 `json:"r"`
}

func parseOldSession(raw string) (*session, error) {
	var o oldSession
	if err := json.Unmarshal([]byte(raw), &o); err != nil {
		return nil, err
	}
	if o.Version != oldRecordVersion {
		return nil, fmt.Errorf("version %d", o.Version)
	}
	s := &session{
		version: o.Version, created: o.Created, ends: o.Ends, id: o.ID,
		generation: rawGeneration(o.Generation), clientGeneration: rawGeneration(o.ClientGeneration), parent: rawHash(o.Parent),
		current: rawHash(o.Current), currentExpires: o.CurrentExpires, used: rawHash(o.Previous), oldUsed: o.Used,
		access: rawNames(o.Access), selfContained: o.SelfContained, accessExpires: o.AccessExpires, revoked: rawNames(o.Revoked),
		body: []byte(raw),
	}
	return s, nil
}

func rawNames(list map[string]int64) map[string]int64 {
	raw := make(map[string]int64, len(list))
	for name, expires := range list {
		raw[rawHash(name)] = expires
	}
	return raw
}

func parseOldDocument(raw []byte) (*document, error) {
	var o oldSession
	if err := json.Unmarshal(raw, &o); err != nil {
		return nil, err
	}
	d := &document{lastUsed: o.LastUsed, address: o.Address, userAgent: o.UserAgent}
	if err := json.Unmarshal([]byte(o.Doc), d); err != nil {
		return nil, err
	}
	return d, nil
}
