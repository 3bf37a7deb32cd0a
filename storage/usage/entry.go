package usage

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// The two APIs.
const (
	APIOperations = "operations" // the operations API
	APIOAuth      = "oauth"      // the OAuth endpoints
)

// Caller says who calls which API. An empty member is not known.
type Caller struct {
	API       string `json:"api"`
	Client    string `json:"client"`
	User      string `json:"user"` // "*": further users, who are not told apart; likewise UserAgent and Address
	UserAgent string `json:"user_agent"`
	Address   string `json:"address"` // of the client, without a port
}

// Entry says how often one caller has used an API, and when first and last.
type Entry struct {
	Caller
	Count int64     `json:"count"`
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
}

// anybody stands for users, user agents and addresses that are not told apart.
const anybody = "*"

// maxUserAgent and maxAddress are the longest user agent and address that are kept, in bytes. An address is longer only if it is
// not one: a program that embeds the server chooses what it passes.
const (
	maxUserAgent = 200
	maxAddress   = 45
)

// anywhere is the caller for when there are too many addresses.
func (c Caller) anywhere() Caller {
	c.Address = anybody
	return c
}

// anyUser is the caller for when there are too many users.
func (c Caller) anyUser() Caller {
	return Caller{API: c.API, Client: c.Client, User: anybody, UserAgent: anybody, Address: anybody}
}

// field is the name of a caller's field in Redis: a JSON array of strings.
func (c Caller) field() string {
	agent, address := c.UserAgent[:min(len(c.UserAgent), maxUserAgent)], c.Address[:min(len(c.Address), maxAddress)]
	name, _ := json.Marshal([5]string{c.API, c.Client, c.User, agent, address}) // strings always encode
	return string(name)
}

// oldNames are the names under which the first release stored the APIs.
var oldNames = map[string]string{"legacy": APIOperations, "standard": APIOAuth}

var errField = errors.New("unreadable usage entry")

// parseField reads the name of a field. Those of earlier releases have no address.
func parseField(name string) (Caller, error) {
	var f []string
	if err := json.Unmarshal([]byte(name), &f); err != nil || len(f) < 4 || len(f) > 5 {
		return Caller{}, errField
	}
	c := Caller{API: f[0], Client: f[1], User: f[2], UserAgent: f[3]}
	if len(f) == 5 {
		c.Address = f[4]
	}
	if api, ok := oldNames[c.API]; ok {
		c.API = api
	}
	return c, nil
}

// parse reads a field of Redis.
func parse(name, numbers string) (Entry, error) {
	caller, err := parseField(name)
	if err != nil {
		return Entry{}, err
	}
	e := Entry{Caller: caller}
	var first, last int64
	if _, err := fmt.Sscanf(numbers, "%d %d %d", &e.Count, &first, &last); err != nil {
		return Entry{}, errField
	}
	e.First, e.Last = time.UnixMilli(first).UTC(), time.UnixMilli(last).UTC()
	return e, nil
}

// compare orders entries: the operations API first, then by client, then whoever came last first.
func compare(a, b Entry) int {
	if c := strings.Compare(b.API, a.API); c != 0 {
		return c
	}
	if c := strings.Compare(a.Client, b.Client); c != 0 {
		return c
	}
	if c := b.Last.Compare(a.Last); c != 0 {
		return c
	}
	return strings.Compare(a.User+"\x00"+a.UserAgent+"\x00"+a.Address, b.User+"\x00"+b.UserAgent+"\x00"+b.Address)
}
