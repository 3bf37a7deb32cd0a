package storage

import (
	"testing"
	"time"
)

// A read that began before a client was removed, and ends after it, does not put the client back.
func TestARemovedClientIsNotPutBack(t *testing.T) {
	c := clientCache{ttl: time.Hour, outage: time.Hour}
	client, asked := &Client{ID: "web"}, time.Now()
	c.forget("web")
	c.remember(client, asked)
	if known, _ := c.get("web", time.Now()); known != nil {
		t.Error("a client that was removed is served")
	}
	c.remember(client, time.Now().Add(time.Millisecond))
	if known, fresh := c.get("web", time.Now()); known != client || !fresh {
		t.Error("a client that was read later is not")
	}
}
