package storage

import "sync"

// knownPointers remembers where pointers lead, so that the calls that fosite's handlers make one after the other for a token ask
// once. A pointer always leads to the same session; whether that is still there, and the token good, is asked each time. The zero
// value is ready for use.
type knownPointers struct {
	mutex      sync.Mutex
	young, old map[string]sessionKey // the old ones are dropped when the young ones become old
}

// maxKnown is how many young pointers are remembered, and how many old ones, some 200 bytes each.
const maxKnown = 4096

func (p *knownPointers) find(pointer string) (sessionKey, bool) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	key, ok := p.young[pointer]
	if !ok {
		key, ok = p.old[pointer]
	}
	return key, ok
}

func (p *knownPointers) add(pointer string, key sessionKey) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if len(p.young) >= maxKnown {
		p.young, p.old = nil, p.young
	}
	if p.young == nil {
		p.young = make(map[string]sessionKey)
	}
	p.young[pointer] = key
}
