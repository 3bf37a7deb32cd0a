package fingerprint

import "time"

// MaxMemory bounds a Memory to about a megabyte.
const MaxMemory = 10_000

// Memory has fingerprints and until when each is remembered. Make it with make. It is not safe for concurrent use.
type Memory map[Fingerprint]time.Time

// Remember adds a fingerprint. A Memory that is full forgets what has expired and, if that is too little, random entries until a
// tenth of it is free: whoever asks must bear that one is forgotten too early.
func (m Memory) Remember(f Fingerprint, until, now time.Time) {
	if len(m) >= MaxMemory {
		for other, end := range m {
			if !now.Before(end) {
				delete(m, other)
			}
		}
		for other := range m {
			if len(m) <= MaxMemory*9/10 {
				break
			}
			delete(m, other)
		}
	}
	m[f] = until
}
