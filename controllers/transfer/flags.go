package transfer

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/chat-operator/chat-operator/xmpp/similar"
)

// ParseFlags reads the flags of a command, whose name is that of the set. It prints them all to those who ask, which is flag.ErrHelp; whoever has
// misspelled one is told so, in one line.
func ParseFlags(flags *flag.FlagSet, args []string) error {
	out, usage := flags.Output(), flags.Usage
	// Package flag prints them all with every error as well, far below which the error is out of sight.
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	err := flags.Parse(args)
	flags.SetOutput(out)
	flags.Usage = usage
	if err == nil {
		return nil
	}
	if errors.Is(err, flag.ErrHelp) {
		usage()
		return err
	}
	text := err.Error()
	if name, found := strings.CutPrefix(text, "flag provided but not defined: -"); found {
		text = fmt.Sprintf("there is no flag --%s", name)
		var known []string
		flags.VisitAll(func(f *flag.Flag) { known = append(known, f.Name) })
		if flag := similar.To(name, known); flag != "" {
			text += "; it resembles --" + flag
		}
	}
	return fmt.Errorf("%s. Run `%s --help` for what there is", text, flags.Name())
}
