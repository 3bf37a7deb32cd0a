package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
)

// table is what a listing command prints: rows for people, the values themselves for programs.
type table struct {
	head []string
	rows [][]string
	json any
}

func (p *program) print(t table) error {
	if p.output == "json" {
		return p.printJSON(t.json)
	}
	w := tabwriter.NewWriter(p.stdout, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, strings.Join(t.head, "\t"))
	for _, row := range t.rows {
		for i, cell := range row {
			row[i] = printable(cell)
		}
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	return w.Flush()
}

func (p *program) printJSON(value any) error {
	encoder := json.NewEncoder(p.stdout)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

// printable keeps names that users chose from moving the cursor of whoever lists them.
func printable(cell string) string {
	if cell == "" {
		return "-"
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '\uFFFD'
		}
		return r
	}, cell)
}
