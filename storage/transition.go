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
	RefreshTTL  int64  `json:"refresh_ttl"`
	Access      string `json:"access,omitempty"`
	AccessTTL   int64  `json:"access_ttl"`
	Proven      bool   `json:"proven,omitempty"`
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
	if err := t.pointTo(ctx, step); err != nil {
		return nil, err
	}
	k := t.db.keys
	reply, err := t.db.eval(ctx, "transition", call{
		script: transitionScript,
		keys: []string{
			k.session(step.at), k.index(step.at.tag()), k.evicted(step.at.tag()),
			k.answer(step.at, step.used), k.user(step.at.tag()),
		},
		args: []any{payload, step.sealed},
	}, t.listAtClient(step)...)
	if err != nil {
		return nil, err
	}
	verdict, answer, err := parseVerdict(reply)
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

// pointTo writes the pointers that lead from foreign signatures to the session. They go first: one that is there without
// its session leads nowhere and expires, but a session without them could not be found.
func (t *Tokens) pointTo(ctx context.Context, step *transition) error {
	for key, ttl := range step.pointers {
		c := call{script: pointScript, keys: []string{key}, args: []any{string(step.at), max(ttl.Milliseconds(), 1)}}
		if _, err := t.db.eval(ctx, "point to session", c); err != nil {
			return err
		}
	}
	return nil
}

// listAtClient is the entry of the session in its client's list. It travels in the same round trip, but may be on another
// node of a cluster, whose trouble must not become this session's: it serves lists alone.
func (t *Tokens) listAtClient(step *transition) []call {
	if step.client == "" || step.Refresh == "" && (step.Access == "" || !step.Create) {
		return nil
	}
	ttl := max(step.RefreshTTL, step.AccessTTL)
	return []call{{script: indexScript, keys: []string{t.db.keys.clientIndex(step.client)}, args: []any{string(step.at), ttl}}}
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
