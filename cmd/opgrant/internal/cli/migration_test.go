package cli

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/opgrant/opgrant/storage/usage"
)

func TestWhetherTheOperationsAPICanBeSwitchedOff(t *testing.T) {
	const day = 24 * time.Hour
	now := time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)
	used := func(api string, ago time.Duration) usage.Entry {
		return usage.Entry{Caller: usage.Caller{API: api, User: "alice"}, Count: 1, First: now.Add(-80 * day), Last: now.Add(-ago)}
	}
	counted := func(since, until time.Duration, entries ...usage.Entry) usage.Report {
		return usage.Report{Since: now.Add(-since), Until: now.Add(-until), Entries: entries}
	}
	for _, test := range []struct {
		name     string
		counted  usage.Report
		decision string
		code     ExitCode
		callers  int
		earliest string
		answer   string
	}{
		{"a new store", usage.Report{}, "not known yet", 3, 0, "", "Not known yet. Start a server"},
		{"counting for seconds", counted(time.Second, 0), "not yet", 3, 0, "2026-12-31T11:59:59Z", "on 2026-12-31 if nobody calls"},
		{"shortly before the window has passed", counted(30*day-time.Second, 0), "not yet", 3, 0, "2026-12-01T12:00:01Z", "Not yet"},
		{"when the window has passed", counted(30*day, 0), "yes", 0, 0, "", "Yes: nobody has called it for 30 days."},
		{"only the OAuth endpoints are used", counted(60*day, 0, used(usage.APIOAuth, 0)), "yes", 0, 0, "", "Yes"},
		{"callers before the window", counted(60*day, 0, used(usage.APIOperations, 30*day)), "yes", 0, 0, "", "Yes"},
		{
			"callers within the window", counted(60*day, 0, used(usage.APIOperations, 20*day), used(usage.APIOperations, 10*day), used(usage.APIOAuth, 0)),
			"no", 4, 2, "2026-12-21T12:00:00Z", "No: 2 callers have used it within 30 days. It can be switched off on 2026-12-21",
		},
		{
			"a caller of an earlier release, and a young start", counted(day, 0, used(usage.APIOperations, 2*day)),
			"no", 4, 1, "2026-12-30T12:00:00Z", "No: 1 caller has",
		},
		{
			"a caller of an earlier release, and no start",
			usage.Report{Entries: []usage.Entry{used(usage.APIOperations, 2*day)}},
			"no", 4, 1, "", "Start a server",
		},
		{"servers are down for hours", counted(60*day, 23*time.Hour), "yes", 0, 0, "", "Yes"},
		{"servers are down for days", counted(60*day, 25*time.Hour), "not known yet", 3, 0, "", "Not known yet. Start a server"},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := newMigration(test.counted, 30*day, now)
			earliest := ""
			if m.Earliest != nil {
				earliest = m.Earliest.Format(time.RFC3339)
			}
			if m.Decision != test.decision || exitCodes[m.Decision] != test.code || len(m.Callers) != test.callers || earliest != test.earliest {
				t.Errorf("%s (%d), %d callers, earliest %q; want %s (%d), %d, %q", m.Decision, exitCodes[m.Decision], len(m.Callers), earliest,
					test.decision, test.code, test.callers, test.earliest)
			}
			if !strings.Contains(m.answer(), test.answer) {
				t.Errorf("answer %q, want %q", m.answer(), test.answer)
			}
			text, err := json.Marshal(m)
			if err != nil || strings.Contains(string(text), `"callers":null`) || strings.Contains(string(text), `"uses":null`) {
				t.Errorf("%s, %v", text, err)
			}
		})
	}
}
