package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/cli-runtime/pkg/printers"
	"sigs.k8s.io/yaml"
)

// Formats of --output.
const (
	formatTable = ""
	formatWide  = "wide"
	formatJSON  = "json"
	formatYAML  = "yaml"
	formatName  = "name"
)

// unknown is what a table shows where nobody could be asked.
const unknown = "<unknown>"

// output is how a command prints what it found.
type output struct {
	format    string
	noHeaders bool
	now       func() time.Time
}

func (p *output) addFlags(cmd *cobra.Command, o *options) {
	p.now = o.now
	cmd.Flags().StringVarP(&p.format, "output", "o", "", "Output format: "+strings.Join(formats(), ", "))
	cmd.Flags().BoolVar(&p.noHeaders, "no-headers", false, "Leave out the heads of the columns")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats(), cobra.ShellCompDirectiveNoFileComp))
}

func formats() []string { return []string{formatJSON, formatName, formatWide, formatYAML} }

func (p *output) check() error {
	if p.format != formatTable && !slices.Contains(formats(), p.format) {
		return fmt.Errorf("--output %q is no format: choose one of %s", p.format, strings.Join(formats(), ", "))
	}
	return nil
}

// forPeople says that a table is wanted, and not something for programs.
func (p *output) forPeople() bool { return p.format == formatTable || p.format == formatWide }

// table is rows under heads; heads that begin with a + are for -o wide.
type table struct {
	heads []string
	rows  [][]string
}

// listing is what a command found: rows for people, items and names for programs.
type listing struct {
	table
	items any
	names []string
}

func (p *output) print(out io.Writer, l *listing) error {
	switch p.format {
	case formatJSON, formatYAML:
		return p.document(out, struct {
			Items any `json:"items"`
		}{l.items})
	case formatName:
		for _, name := range l.names {
			fmt.Fprintln(out, show(name))
		}
		return nil
	}
	return l.write(out, p.format == formatWide, !p.noHeaders)
}

func (p *output) document(out io.Writer, of any) error {
	if p.format == formatYAML {
		text, err := yaml.Marshal(of)
		if err != nil {
			return err
		}
		_, err = out.Write(text)
		return err
	}
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(of)
}

func (t *table) write(out io.Writer, wide, heads bool) error {
	if len(t.rows) == 0 {
		return nil
	}
	w := printers.GetNewTabWriter(out)
	line := func(cells []string, edit func(string) string) {
		var kept []string
		for i, cell := range cells {
			if wide || !strings.HasPrefix(t.heads[i], "+") {
				kept = append(kept, edit(cell))
			}
		}
		fmt.Fprintln(w, strings.Join(kept, "\t"))
	}
	if heads {
		line(t.heads, func(head string) string { return strings.TrimPrefix(head, "+") })
	}
	for _, row := range t.rows {
		line(row, show)
	}
	return w.Flush()
}

// show is a text that somebody else wrote, as a terminal may have it: in one line, and without characters that command terminals or
// change the direction of writing.
func show(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			b.WriteByte(' ')
		case !unicode.IsPrint(r):
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// age is how long ago something was, as kubectl writes it.
func (p *output) age(since time.Time) string {
	if since.IsZero() {
		return unknown
	}
	return duration.HumanDuration(p.now().Sub(since))
}

func yesNo(b bool) string { return strconv.FormatBool(b) }
