package faults_test

// codeState is that of the authorization code that opens a session.
type codeState int

const (
	noCode codeState = iota
	openCode
	endedCode // by a revocation of all sessions of its subject
	usedCode
)

// stepOfCode is step for calls about codes. One code opens the session, once.
func stepOfCode(s state, c call, r result) (bool, state) {
	done := r.outcome == accepted || r.outcome == unknown
	switch c.kind {
	case opStoreCode:
		if s.code == usedCode {
			return r.outcome == wasUsed || r.outcome == unknown, s
		}
		s.code = openCode
		return done, s
	case opReadCode:
		return r.outcome == [...]outcome{noCode: notFound, openCode: accepted, endedCode: notFound, usedCode: wasUsed}[s.code], s
	case opRevokeAll:
		s.allRevoked = true
		if s.code == openCode {
			s.code = endedCode
		}
		if s.born {
			s = s.ended()
		}
		return done, s
	}
	switch s.code {
	case openCode:
		return done, state{born: true, live: c.next, access: []int{c.access}, code: usedCode, allRevoked: s.allRevoked}
	case usedCode:
		// One that found the code open, and whose user has changed before its commit, is told that there is no such code.
		return r.outcome == wasUsed || r.outcome == unknown || s.allRevoked && r.outcome == notFound, s
	}
	return r.outcome == notFound || r.outcome == unknown, s
}
