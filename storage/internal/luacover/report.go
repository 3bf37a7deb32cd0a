package luacover

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// report counts how many runs reached each branch.
type report struct {
	parts []partBranches
	hits  map[string]int // by field
}

type partBranches struct {
	name     string
	branches []branch
}

// add adds a part, unless it is there from another script.
func (r *report) add(name string, branches []branch) {
	if !slices.ContainsFunc(r.parts, func(p partBranches) bool { return p.name == name }) {
		r.parts = append(r.parts, partBranches{name, branches})
	}
}

// table has a line for each part: its branches, how many ran, and the lines of the others.
func (r *report) table() string {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "script\tbranches\trun\tlines of the others")
	branches, run := 0, 0
	for _, p := range r.parts {
		missed := r.missedOf(p)
		lines := make([]string, len(missed))
		for i, b := range missed {
			lines[i] = strconv.Itoa(b.line)
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%s\n", p.name, len(p.branches), len(p.branches)-len(missed), strings.Join(slices.Compact(lines), " "))
		branches, run = branches+len(p.branches), run+len(p.branches)-len(missed)
	}
	fmt.Fprintf(w, "all\t%d\t%d\t\n", branches, run)
	_ = w.Flush()
	return text.String()
}

// missed returns the branches that did not run.
func (r *report) missed() []branch {
	var list []branch
	for _, p := range r.parts {
		list = append(list, r.missedOf(p)...)
	}
	return list
}

func (r *report) missedOf(p partBranches) []branch {
	var list []branch
	for i, b := range p.branches {
		if r.hits[field(p.name, i)] == 0 {
			list = append(list, b)
		}
	}
	return list
}
