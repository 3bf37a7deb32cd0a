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

// Entry says how often one caller has used an API, and when first and last.
type Entry struct {
	API       string    `json:"api"`
	Client    string    `json:"client"`
	User      string    `json:"user"` // "*": further users, who are not told apart; likewise UserAgent
	UserAgent string    `json:"user_agent"`
	Count     int64     `json:"count"`
	First     time.Time `json:"first"`
	Last      time.Time `json:"last"`
}

// anybody stands for users and user agents that are not told apart.
const anybody = "*"

// maxUserAgent is the longest user agent that is kept, in bytes.
const maxUserAgent = 200

// field is the name of a caller's field in Redis: a JSON array of strings.
func field(api, client, user, userAgent string) string {
	userAgent = userAgent[:min(len(userAgent), maxUserAgent)]
	name, _ := json.Marshal([4]string{api, client, user, userAgent}) // strings always encode
	return string(name)
}

// oldNames are the names under which the first release stored the APIs.
var oldNames = map[string]string{"legacy": APIOperations, "standard": APIOAuth}

var errField = errors.New("unreadable usage entry")

// parse reads a field of Redis, and its numbers unless they are empty.
func parse(name, numbers string) (Entry, error) {
	var f [4]string
	if err := json.Unmarshal([]byte(name), &f); err != nil {
		return Entry{}, errField
	}
	e := Entry{API: f[0], Client: f[1], User: f[2], UserAgent: f[3]}
	if api, ok := oldNames[e.API]; ok {
		e.API = api
	}
	if numbers == "" {
		return e, nil
	}
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
	return strings.Compare(a.User+"\x00"+a.UserAgent, b.User+"\x00"+b.UserAgent)
}
