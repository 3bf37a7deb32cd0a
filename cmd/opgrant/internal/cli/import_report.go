package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/opgrant/opgrant/compat/harper"
	"github.com/opgrant/opgrant/storage"
)

// importReport is what an import did, or would do.
type importReport struct {
	Outcomes map[string]map[string]int `json:"outcomes"` // keys, roles, users, rows → outcome → number
	Refused  []refusedRow              `json:"refused,omitempty"`
	Gone     []goneEntry               `json:"gone,omitempty"`
	Notes    []string                  `json:"notes,omitempty"`
	DryRun   bool                      `json:"dry_run"`
}

// refusedRow is a row that was not imported.
type refusedRow struct {
	Row    string `json:"row"` // where it is
	Name   string `json:"name,omitempty"`
	Reason string `json:"reason"`

	at harper.Row // the same as Row
}

// goneEntry is a user or a role that the source no longer has.
type goneEntry struct {
	What    string `json:"what"` // users or roles
	Name    string `json:"name"`
	Removed bool   `json:"removed"`
	Reason  string `json:"reason,omitempty"` // why it was not removed
}

// What is imported, in the order of reports.
const (
	reportKeys  = "keys"
	reportRoles = "roles"
	reportUsers = "users"
	reportRows  = "rows" // of which it cannot be told what they are
)

// importOutcomes is the order in which reports list them.
var importOutcomes = []storage.ImportOutcome{
	storage.ImportAdded, storage.ImportUpdated, storage.ImportUnchanged, storage.ImportKept, storage.ImportGone, storage.ImportRemoved,
	storage.ImportRefused,
}

// mostLines is how many refused rows, and gone users and roles, are printed; --output json has all.
const mostLines = 100

func (r *importReport) count(what string, outcome storage.ImportOutcome) {
	if r.Outcomes == nil {
		r.Outcomes = map[string]map[string]int{}
	}
	if r.Outcomes[what] == nil {
		r.Outcomes[what] = map[string]int{}
	}
	r.Outcomes[what][string(outcome)]++
}

// refuse notes a row that is not imported. The rows of the report are in the order of their source.
func (r *importReport) refuse(what string, at harper.Row, name string, err error) {
	r.count(what, storage.ImportRefused)
	row := refusedRow{Row: at.String(), Name: name, Reason: strings.TrimPrefix(err.Error(), "storage: "), at: at}
	place, _ := slices.BinarySearchFunc(r.Refused, row, func(a, b refusedRow) int {
		return cmp.Or(strings.Compare(a.at.Source, b.at.Source), cmp.Compare(a.at.Number, b.at.Number))
	})
	r.Refused = slices.Insert(r.Refused, place, row)
}

// refusedError is nil where every row was imported.
func (r *importReport) refusedError(one string) error {
	switch n := len(r.Refused); n {
	case 0:
		return nil
	case 1:
		return fmt.Errorf("1 %s refused", one)
	default:
		return fmt.Errorf("%d %ss refused", n, one)
	}
}

func (r *importReport) addGone(e goneEntry) {
	outcome := storage.ImportGone
	if e.Removed {
		outcome = storage.ImportRemoved
	}
	r.count(e.What, outcome)
	r.Gone = append(r.Gone, e)
}

func (p *program) printImport(r importReport) error {
	t := table{head: []string{"WHAT", "OUTCOME", "NUMBER"}, json: r}
	if r.DryRun {
		fmt.Fprintln(p.Stderr, "dry run: nothing was changed")
	}
	for _, what := range []string{reportKeys, reportRoles, reportUsers, reportRows} {
		for _, outcome := range importOutcomes {
			if n := r.Outcomes[what][string(outcome)]; n > 0 {
				t.rows = append(t.rows, []string{what, string(outcome), fmt.Sprint(n)})
			}
		}
	}
	p.printLines(r.refusedLines())
	p.printLines(r.goneLines())
	for _, note := range r.Notes {
		fmt.Fprintln(p.Stderr, note)
	}
	if err := p.print(t); err != nil {
		return err
	}
	return r.refusedError("row")
}

func (r *importReport) refusedLines() []string {
	var lines []string
	for _, refused := range r.Refused {
		line := printable(refused.Row)
		if refused.Name != "" {
			line += ", " + printable(refused.Name)
		}
		lines = append(lines, line+": refused: "+printable(refused.Reason))
	}
	return lines
}

func (r *importReport) goneLines() []string {
	var lines []string
	for _, e := range r.Gone {
		line := strings.TrimSuffix(e.What, "s") + " " + printable(e.Name) + ": gone from the source"
		switch {
		case e.Removed && r.DryRun:
			line += ", would be removed"
		case e.Removed:
			line += ", removed"
		case e.Reason != "":
			line += ", not removed: " + e.Reason
		}
		lines = append(lines, line)
	}
	return lines
}

// printLines prints the first lines to standard error, and how many more there are.
func (p *program) printLines(lines []string) {
	more := max(len(lines)-mostLines, 0)
	for _, line := range slices.Clip(lines[:len(lines)-more]) {
		fmt.Fprintln(p.Stderr, line)
	}
	if more > 0 {
		fmt.Fprintf(p.Stderr, "… and %s more; --output json lists all\n", grouped(more))
	}
}
