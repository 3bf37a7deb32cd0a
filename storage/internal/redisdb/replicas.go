package redisdb

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// replicaLeft is how long a primary that a replica has left gets no write confirmed. Sentinel promotes a replica first and tells the
// next one to follow it about a second later; between them the old primary still serves, and the others confirm its writes.
const replicaLeft = 5 * time.Second

// attached remembers which primary had how many replicas. The zero value knows none. It is safe for concurrent use.
type attached struct {
	mu   sync.Mutex
	last map[string]int      // :: address → how many replicas were there at the last write
	most map[string]sighting // :: replication ID, which a promotion changes → what was seen there
}

// sighting is how many replicas a primary had, how many it has, and when the last of the others was found missing.
type sighting struct {
	had, has int
	missed   time.Time
}

// wanted is how many replicas WAIT should wait for at an address: all that were there, so that each has time to confirm.
func (a *attached) wanted(address string, least int) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return max(least, a.last[address])
}

// forget makes the next WAIT at an address wait for no more replicas than it must: the last one may have taken too long for a
// replica that is gone.
func (a *attached) forget(address string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.last, address)
}

// judge returns an error unless enough replicas have confirmed a write and none was found missing of late. info is the INFO
// replication of the primary after the WAIT.
func (a *attached) judge(address, info string, confirmed int64, least int) error {
	if confirmed < int64(least) {
		return fmt.Errorf("%d of %d replicas have the write", confirmed, least)
	}
	_, id, _ := strings.Cut(info, "master_replid:")
	id, _, _ = strings.Cut(id, "\r")
	now, there := time.Now(), strings.Count(info, ",state=online,")
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.most == nil {
		a.last, a.most = map[string]int{}, map[string]sighting{}
	}
	a.last[address] = there
	if len(a.most) > 1000 { // promotions: so many are a mistake
		clear(a.most)
	}
	seen, known := a.most[id]
	if known && there < seen.has {
		seen.missed = now // the process may have been idle: nobody knows when it left
	}
	seen.has = there
	if there < seen.had && now.Sub(seen.missed) < replicaLeft {
		a.most[id] = seen
		return fmt.Errorf("%d replicas have the write, but %d of the primary's %d have left: one may be the primary now",
			confirmed, seen.had-there, seen.had)
	}
	a.most[id] = sighting{had: there, has: there}
	return nil
}
