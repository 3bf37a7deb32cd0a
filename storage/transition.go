package storage

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/ory/fosite"
)

//go:embed transition.lua
var transitionSource string

// transition is one step in the life of one session, as transition.lua takes it. Fields that are zero change nothing.
// Times to live are relative, so that Redis's clock alone decides what has expired.
type transition struct {
	at     location
	tag    string // of the subject; another slot's tag never gets here
	sealed []byte // the answer to keep for the grace
	used   string // names the answer key: the presented token
	client string

	// pointers lead from signatures and request IDs that are not of our making to the session.
	pointers map[string]time.Duration

	Create      bool   `json:"create,omitempty"`
	User        string `json:"user,omitempty"`
	Rest        string `json:"rest"`
	Member      string `json:"member,omitempty"`
	Suffix      string `json:"suffix,omitempty"`
	Limit       int    `json:"limit,omitempty"`
	Doc         string `json:"doc,omitempty"`
	ID          string `json:"id,omitempty"`
	Address     string `json:"ip,omitempty"`
	UserAgent   string `json:"ua,omitempty"`
	Max         int64  `json:"max,omitempty"`
	Present     string `json:"present,omitempty"`
	Retire      bool   `json:"retire,omitempty"`
	Theft       bool   `json:"theft,omitempty"`
	Grace       int64  `json:"grace,omitempty"`
	Refresh     string `json:"refresh,omitempty"`
	RefreshTTL  int64  `json:"refresh_ttl,omitempty"`
	Access      string `json:"access,omitempty"`
	AccessTTL   int64  `json:"access_ttl,omitempty"`
	Own         string `json:"own,omitempty"`
	DropAccess  string `json:"drop_access,omitempty"`
	DropRefresh string `json:"drop_refresh,omitempty"`
	EndRefresh  bool   `json:"end_refresh,omitempty"`
	EndAccess   bool   `json:"end_access,omitempty"`
}

// The verdicts of transition.lua.
const (
	verdictOK     = "ok"
	verdictReplay = "replay" // used within the grace: here is the earlier answer
	verdictBusy   = "busy"   // used within the grace, and no answer was kept
	verdictUsed   = "used"   // used, and the grace is over
	// "none": no such session or token. "user": the user has changed since it was read.
)

// commit runs the transition and returns the earlier answer where the verdict is replay.
func (t *Tokens) commit(ctx context.Context, step *transition) ([]byte, error) {
	payload, err := json.Marshal(step)
	if err != nil {
		return nil, fmt.Errorf("storage: encode transition: %w", err)
	}
	k := t.db.keys
	scripts := []call{{
		script: transitionScript,
		keys: []string{
			k.session(step.at), k.index(step.at.tag()), k.evicted(step.at.tag()),
			k.answer(step.at, step.used), k.user(step.at.tag()),
		},
		args: []any{payload, step.sealed},
	}}
	scripts = append(scripts, t.sideCalls(step)...)
	replies, err := t.db.eval(ctx, "transition", scripts)
	if err != nil {
		return nil, err
	}
	verdict, answer, err := parseVerdict(replies[0])
	if err != nil {
		return nil, dontKnow("transition", err)
	}
	switch verdict {
	case verdictOK:
		return nil, nil
	case verdictReplay:
		return answer, nil
	case verdictBusy:
		return nil, fosite.ErrSerializationFailure
	case verdictUsed:
		return nil, fosite.ErrInactiveToken
	}
	// verdictNone and verdictUser: something is not there, or no longer what it was.
	return nil, t.db.missing(ctx, "transition")
}

// sideCalls are the writes outside of the session's slot: pointers for foreign signatures, and the client's index. They
// travel in the same round trip. One that is there without its session leads nowhere and expires.
func (t *Tokens) sideCalls(step *transition) []call {
	var calls []call
	for key, ttl := range step.pointers {
		calls = append(calls, call{script: pointScript, keys: []string{key}, args: []any{string(step.at), max(ttl.Milliseconds(), 1)}})
	}
	if step.client != "" && (step.Refresh != "" || step.Access != "" && step.Create) {
		ttl := max(step.RefreshTTL, step.AccessTTL)
		calls = append(calls, call{script: indexScript, keys: []string{t.db.keys.clientIndex(step.client)}, args: []any{string(step.at), ttl}})
	}
	return calls
}

func parseVerdict(reply any) (verdict string, answer []byte, err error) {
	parts, ok := reply.([]any)
	if !ok || len(parts) == 0 {
		return "", nil, errors.New("unexpected reply of a script")
	}
	verdict, ok = parts[0].(string)
	if !ok {
		return "", nil, errors.New("unexpected verdict of a script")
	}
	if len(parts) > 1 {
		text, _ := parts[1].(string)
		answer = []byte(text)
	}
	return verdict, answer, nil
}
