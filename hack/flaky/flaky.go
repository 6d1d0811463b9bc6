// Package flaky tells of specs that passed only when they were tried again, as continuous integration does: nothing that failed goes unsaid.
package flaky

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/onsi/ginkgo/v2/types"
)

// Tell appends to the file that the environment variable FLAKY names which specs of a suite failed before they passed, and how; without FLAKY it does nothing.
// A spec that panicked before it passed is an error.
func Tell(suite types.Report) error {
	path := os.Getenv("FLAKY")
	if path == "" {
		return nil
	}
	var text strings.Builder
	var panicked []error
	for _, spec := range suite.SpecReports {
		if spec.State != types.SpecStatePassed || spec.NumAttempts < 2 || spec.MaxMustPassRepeatedly > 1 {
			continue
		}
		fmt.Fprintf(&text, "FLAKY  \t%s: %s (attempt %d passed)\n", suite.SuiteDescription, spec.FullText(), spec.NumAttempts)
		for _, failure := range spec.AdditionalFailures {
			if failure.State == types.SpecStatePanicked {
				panicked = append(panicked, fmt.Errorf("%s panicked, which another attempt does not make good: %s", spec.FullText(), failure.Failure.ForwardedPanic))
			}
			fmt.Fprintf(&text, "    %s\n    %s\n", strings.ReplaceAll(failure.Failure.Message, "\n", "\n    "), failure.Failure.Location)
		}
	}
	if text.Len() == 0 {
		return nil
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text.String())
	return errors.Join(append(panicked, err, f.Close())...)
}
