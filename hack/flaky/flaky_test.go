package flaky_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/onsi/ginkgo/v2/types"

	"github.com/chat-operator/chat-operator/hack/flaky"
)

func TestTell(t *testing.T) {
	failure := types.AdditionalFailure{State: types.SpecStateFailed, Failure: types.Failure{
		Message:  "expected 201\ngot 503",
		Location: types.CodeLocation{FileName: "rooms_test.go", LineNumber: 7},
	}}
	spec := func(text string, state types.SpecState, attempts int, failures ...types.AdditionalFailure) types.SpecReport {
		return types.SpecReport{LeafNodeText: text, State: state, NumAttempts: attempts, AdditionalFailures: failures}
	}
	suite := types.Report{SuiteDescription: "Rooms", SpecReports: types.SpecReports{
		spec("passes", types.SpecStatePassed, 1),
		spec("passes late", types.SpecStatePassed, 2, failure),
		spec("fails twice", types.SpecStateFailed, 2, failure),
		spec("is left out", types.SpecStateSkipped, 0),
	}}
	path := filepath.Join(t.TempDir(), "flaky")
	t.Setenv("FLAKY", path)
	for range 2 { // suites tell one after the other
		if err := flaky.Tell(suite); err != nil {
			t.Fatal(err)
		}
	}
	one := "FLAKY  \tRooms: passes late (attempt 2 passed)\n    expected 201\n    got 503\n    rooms_test.go:7\n"
	if got, err := os.ReadFile(path); err != nil || string(got) != one+one {
		t.Errorf("%q, %v, not %q twice", got, err, one)
	}

	panicked := failure
	panicked.State, panicked.Failure.ForwardedPanic = types.SpecStatePanicked, "nil map"
	err := flaky.Tell(types.Report{SpecReports: types.SpecReports{spec("panics first", types.SpecStatePassed, 2, panicked)}})
	if err == nil || !strings.Contains(err.Error(), "panics first") || !strings.Contains(err.Error(), "nil map") {
		t.Errorf("a panic before it passed is %v", err)
	}

	t.Setenv("FLAKY", filepath.Join(path, "below a file"))
	if err := flaky.Tell(suite); err == nil {
		t.Error("what cannot be told is no error")
	}
	if err := flaky.Tell(types.Report{}); err != nil {
		t.Errorf("nothing to tell: %v", err)
	}
	t.Setenv("FLAKY", "")
	if err := flaky.Tell(suite); err != nil {
		t.Errorf("nobody to tell it: %v", err)
	}
}
