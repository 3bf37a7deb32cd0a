package cli

import (
	"fmt"

	"github.com/opgrant/opgrant/storage"
)

// importReport is what an import did, or would do.
type importReport struct {
	Outcomes map[string]map[string]int `json:"outcomes"` // keys, roles, users → outcome → number
	Refused  []refusedUser             `json:"refused,omitempty"`
	DryRun   bool                      `json:"dry_run"`
}

type refusedUser struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

// importOutcomes is the order in which reports list them.
var importOutcomes = []storage.ImportOutcome{
	storage.ImportAdded, storage.ImportUpdated, storage.ImportUnchanged, storage.ImportKept, storage.ImportRefused,
}

func (r *importReport) count(what string, outcome storage.ImportOutcome) {
	if r.Outcomes[what] == nil {
		r.Outcomes[what] = map[string]int{}
	}
	r.Outcomes[what][string(outcome)]++
}

func (p *program) printImport(r importReport) error {
	t := table{head: []string{"WHAT", "OUTCOME", "NUMBER"}, json: r}
	if r.DryRun {
		fmt.Fprintln(p.Stderr, "dry run: nothing was changed")
	}
	for _, what := range []string{"keys", "roles", "users"} {
		for _, outcome := range importOutcomes {
			if n := r.Outcomes[what][string(outcome)]; n > 0 {
				t.rows = append(t.rows, []string{what, string(outcome), fmt.Sprint(n)})
			}
		}
	}
	for _, refused := range r.Refused {
		fmt.Fprintf(p.Stderr, "%s: %s\n", printable(refused.Name), printable(refused.Reason))
	}
	if err := p.print(t); err != nil {
		return err
	}
	if len(r.Refused) > 0 {
		return fmt.Errorf("%d users refused", len(r.Refused))
	}
	return nil
}
