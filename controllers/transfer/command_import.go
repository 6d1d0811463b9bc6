package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const importUsage = `chat-operator import [flags] SOURCE

Reads an export in: a folder, an archive, or - for an archive on the standard input. What the server remembers is only written while no
server has the database. --dry-run says what would be made, what is in conflict and what is left out, and changes nothing; it may run beside a server.`

// defaultMaxBytes is how much an archive may unpack to without being asked.
const defaultMaxBytes = 16 << 30

// importOptions are the flags of the import.
type importOptions struct {
	*common
	source     string
	onConflict string
	only       string
	dryRun     bool
	maxBytes   int64
}

func parseImport(args []string, out io.Writer) (*importOptions, error) {
	o := &importOptions{common: newCommon("import", importUsage, out)}
	o.flags.StringVar(&o.onConflict, "on-conflict", string(onConflictFail), "what becomes of what is there already and differs: fail (nothing is changed at all), skip (it stays) or "+
		"replace (what is read in takes its place)")
	o.flags.StringVar(&o.only, "only", "", "read in one half: resources (also beside a running server), or data, which is what the server remembers")
	o.flags.BoolVar(&o.dryRun, "dry-run", false, "only say what would happen")
	o.flags.Int64Var(&o.maxBytes, "max-bytes", defaultMaxBytes, "how much an archive may unpack to")
	if err := o.parse(args, 1); err != nil {
		return nil, err
	}
	o.source = o.flags.Arg(0)
	switch {
	case !slices.Contains([]conflictRule{onConflictFail, onConflictSkip, onConflictReplace}, conflictRule(o.onConflict)):
		return nil, &UsageError{fmt.Errorf("--on-conflict is %q, and has to be fail, skip or replace", o.onConflict)}
	case !slices.Contains([]string{"", "resources", "data"}, o.only):
		return nil, &UsageError{fmt.Errorf("--only is %q, and has to be resources or data", o.only)}
	case o.source == "":
		return nil, &UsageError{errors.New("name what is to be read in: a folder, a file, or - for the standard input")}
	}
	return o, nil
}

func runImport(ctx context.Context, args []string, connect func(*rest.Config) (client.Client, error), std Streams) error {
	o, err := parseImport(args, std.Err)
	if err != nil {
		return err
	}
	root, done, err := openSource(o, std.In)
	if err != nil {
		return err
	}
	defer done()
	b, err := openBundle(root)
	if err != nil {
		return err
	}
	live, err := connected(connect)
	if err != nil {
		return err
	}
	m := importer{
		live: live, namespace: o.namespace, domain: o.domain, secretName: o.secretName, database: o.database(),
		rule: conflictRule(o.onConflict), dryRun: o.dryRun, resources: o.only != "data", data: o.only != "resources" && b.index.Data,
		progress: newProgress(std.Err, o.quiet), notes: &notes{}, bundle: b,
	}
	err = m.run(ctx)
	m.progress.end()
	for _, note := range m.notes.list {
		fmt.Fprintln(std.Out, "Note:", note)
	}
	m.report.print(std.Out, o.dryRun)
	return err
}

// openSource opens a folder, or unpacks an archive into one that is taken away when done is called.
func openSource(o *importOptions, in io.Reader) (_ *os.Root, done func(), err error) {
	if o.source != "-" {
		info, err := os.Stat(o.source)
		if err != nil {
			return nil, nil, err
		}
		if info.IsDir() {
			root, err := os.OpenRoot(o.source)
			return root, func() { _ = root.Close() }, err
		}
		file, err := os.Open(o.source)
		if err != nil {
			return nil, nil, err
		}
		defer func() { _ = file.Close() }()
		in = file
	}
	folder, err := os.MkdirTemp("", "chat-operator-import-")
	if err != nil {
		return nil, nil, fmt.Errorf("there is no place to unpack the archive in: set TMPDIR to a folder with room: %w", err)
	}
	remove := func() { _ = os.RemoveAll(folder) }
	root, err := os.OpenRoot(folder)
	if err == nil {
		err = unpack(in, root, o.maxBytes)
	}
	if err != nil {
		remove()
		return nil, nil, fmt.Errorf("%s: %w", o.source, err)
	}
	return root, func() {
		_ = root.Close()
		remove()
	}, nil
}
