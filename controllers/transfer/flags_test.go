package transfer

import (
	"bytes"
	"errors"
	"flag"
	"strings"
	"testing"
)

// Whoever misspells a flag is told so in a line, and not shown them all.
func TestMisspelledFlags(t *testing.T) {
	for _, c := range []struct{ flag, want string }{
		{"--namepsace=x", "there is no flag --namepsace; it resembles --namespace. Run `chat-operator import --help` for what there is"},
		{"-dryrun", "there is no flag --dryrun; it resembles --dry-run. Run `chat-operator import --help` for what there is"},
		{"--secrets-of-openfire=x", "there is no flag --secrets-of-openfire. Run `chat-operator import --help` for what there is"},
		{"--max-bytes", "flag needs an argument: -max-bytes. Run `chat-operator import --help` for what there is"},
	} {
		var out bytes.Buffer
		_, err := parseImport([]string{c.flag}, &out)
		var usage *UsageError
		if !errors.As(err, &usage) || err.Error() != c.want || out.Len() > 0 {
			t.Errorf("%s: %v\n%s", c.flag, err, out.String())
		}
	}
	var out bytes.Buffer
	if _, err := parseImport([]string{"--help"}, &out); !errors.Is(err, flag.ErrHelp) || !strings.Contains(out.String(), "-dry-run") {
		t.Errorf("--help: %v\n%s", err, out.String())
	}
}
