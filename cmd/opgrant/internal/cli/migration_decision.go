package cli

import (
	"fmt"
	"time"

	"github.com/opgrant/opgrant/storage/usage"
)

// The decisions whether the operations API can be switched off.
const (
	decisionYes     = "yes"
	decisionNotYet  = "not yet"
	decisionUnknown = "not known yet" // nothing has been counted, or not lately
	decisionNo      = "no"
)

var exitCodes = map[string]ExitCode{decisionNotYet: 3, decisionUnknown: 3, decisionNo: 4}

// migration is what the report says.
type migration struct {
	Decision string `json:"decision"`
	// Since and Until are when calls of the operations API have been counted. Nil: they have not.
	Since *time.Time `json:"since"`
	Until *time.Time `json:"until"`
	// Window is how long nobody must have called, a duration of Go.
	Window string `json:"window"`
	// Earliest is when the decision is yes if nobody calls until then. Nil: it is yes, or counting has to begin first.
	Earliest *time.Time `json:"earliest"`
	// Callers have used the operations API within the window.
	Callers []usage.Entry `json:"callers"`
	// Uses are all callers of both APIs in the last 90 days.
	Uses []usage.Entry `json:"uses"`

	window time.Duration
}

// newMigration decides. A caller who is remembered makes it no, whether or not counting has gone on since.
func newMigration(counted usage.Report, window time.Duration, now time.Time) *migration {
	m := &migration{window: window, Window: window.String(), Callers: []usage.Entry{}, Uses: append([]usage.Entry{}, counted.Entries...)}
	from := counted.Since // since when nobody has called
	for _, u := range counted.Entries {
		if u.API != usage.APIOperations || !u.Last.After(now.Add(-window)) {
			continue
		}
		m.Callers = append(m.Callers, u)
		if u.Last.After(from) {
			from = u.Last
		}
	}
	if !counted.Since.IsZero() {
		m.Since, m.Until = &counted.Since, &counted.Until
	}
	counting := m.Since != nil && now.Sub(counted.Until) <= usage.MaxGap
	if counting {
		earliest := from.Add(window)
		m.Earliest = &earliest
	}
	switch {
	case len(m.Callers) > 0:
		m.Decision = decisionNo
	case !counting:
		m.Decision = decisionUnknown
	case m.Earliest.After(now):
		m.Decision = decisionNotYet
	default:
		m.Decision, m.Earliest = decisionYes, nil
	}
	return m
}

// answer is the decision as a sentence.
func (m *migration) answer() string {
	later := "Start a server with the operations API: counting begins when one runs."
	if m.Earliest != nil {
		later = fmt.Sprintf("It can be switched off on %s if nobody calls until then.", m.Earliest.Format(time.DateOnly))
	}
	switch m.Decision {
	case decisionYes:
		return fmt.Sprintf("Yes: nobody has called it for %s.", days(m.window))
	case decisionNotYet:
		return fmt.Sprintf("Not yet: nobody has called it, but it has not been watched for %s. %s", days(m.window), later)
	case decisionUnknown:
		return "Not known yet. " + later
	}
	callers := fmt.Sprintf("%d callers have", len(m.Callers))
	if len(m.Callers) == 1 {
		callers = "1 caller has"
	}
	return fmt.Sprintf("No: %s used it within %s. %s", callers, days(m.window), later)
}

// days writes a duration in days, if it is made of whole ones.
func days(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d == day:
		return "1 day"
	case d%day == 0:
		return fmt.Sprintf("%d days", d/day)
	}
	return d.String()
}
