package authserver

import (
	"crypto/sha256"
	"sync"
	"time"
)

// undecided remembers refreshes whose outcome this process never learned: the store may have rotated the token and lost the
// reply. When the client asks again, as the 503 told it to, the very same tokens are offered to the store, which then finds
// its own work or does it. New ones would look like a second use of the token, and with the grace over, or none, end the
// session: an outage would log people out.
//
// Entries are sealed under the token that was presented, so that the memory of this process holds no usable token either.
type undecided struct {
	mutex   sync.Mutex
	entries map[[sha256.Size]byte]attempt // :: hash of the presented token → what was to become of it
}

type attempt struct {
	sealed []byte
	until  time.Time
}

const (
	// undecidedLife covers an outage with a restart of Redis; after it the client's token is judged like any other.
	undecidedLife = 15 * time.Minute
	// maxUndecided bounds the memory to some ten megabytes. Past it, later attempts are not remembered.
	maxUndecided = 10_000
)

// recall returns the answer that was on its way for the token, if it is still worth giving.
func (u *undecided) recall(presented string, now time.Time) (answer, bool) {
	key := sha256.Sum256([]byte(presented))
	u.mutex.Lock()
	found, ok := u.entries[key]
	u.mutex.Unlock()
	if !ok || now.After(found.until) {
		return answer{}, false
	}
	a, err := open(presented, found.sealed)
	return a, err == nil && now.Unix() < a.Expires
}

// remember keeps an answer whose refresh came to no verdict.
func (u *undecided) remember(presented string, sealed []byte, now time.Time) {
	u.mutex.Lock()
	defer u.mutex.Unlock()
	if u.entries == nil {
		u.entries = make(map[[sha256.Size]byte]attempt)
	}
	if len(u.entries) >= maxUndecided {
		for key, a := range u.entries {
			if now.After(a.until) {
				delete(u.entries, key)
			}
		}
	}
	key := sha256.Sum256([]byte(presented))
	if _, known := u.entries[key]; known || len(u.entries) < maxUndecided {
		u.entries[key] = attempt{sealed: sealed, until: now.Add(undecidedLife)}
	}
}

// decided forgets a token that has come to a verdict.
func (u *undecided) decided(presented string) {
	u.mutex.Lock()
	defer u.mutex.Unlock()
	if len(u.entries) > 0 {
		delete(u.entries, sha256.Sum256([]byte(presented)))
	}
}
