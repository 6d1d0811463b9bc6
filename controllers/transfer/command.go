package transfer

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/config"

	"github.com/chat-operator/chat-operator/xmpp/jid"
)

// Streams are what a command reads and writes. An export may go to Out, and so nothing else does.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// Commands are the subcommands, by their names. Connect makes a client that asks the API server itself. An error is for the person
// who gave the command; a *UsageError is about how it was given.
func Commands(connect func(*rest.Config) (client.Client, error)) map[string]func(ctx context.Context, args []string, std Streams) error {
	return map[string]func(context.Context, []string, Streams) error{
		"export": func(ctx context.Context, args []string, std Streams) error { return runExport(ctx, args, connect, std) },
		"import": func(ctx context.Context, args []string, std Streams) error { return runImport(ctx, args, connect, std) },
	}
}

// UsageError says that a command was not understood.
type UsageError struct{ err error }

func (e *UsageError) Error() string { return e.err.Error() }

// Unwrap gives what is wrong.
func (e *UsageError) Unwrap() error { return e.err }

// common are the flags that both commands have. Their defaults are those of the server, so that what runs beside it finds the same things.
type common struct {
	flags                                  *flag.FlagSet
	namespace, domain, dataDir, secretName string
	quiet                                  bool
}

func newCommon(name, usage string, out io.Writer) *common {
	c := &common{flags: flag.NewFlagSet("chat-operator "+name, flag.ContinueOnError)}
	c.flags.SetOutput(out)
	c.flags.Usage = func() {
		fmt.Fprintf(out, "%s\n\nFlags:\n", usage)
		c.flags.PrintDefaults()
	}
	c.flags.StringVar(&c.namespace, "namespace", "", "namespace whose chat resources make the chat server; "+NamespaceUsage)
	c.flags.StringVar(&c.domain, "domain", "", "XMPP domain; empty: as the database or the resources of the namespace tell")
	c.flags.StringVar(&c.dataDir, "data-dir", "data", "folder of the server's database")
	c.flags.StringVar(&c.secretName, "secret-name", "chat-operator", "Secret with the installation's own keys")
	c.flags.BoolVar(&c.quiet, "quiet", false, "do not show progress")
	config.RegisterFlags(c.flags)
	return c
}

// parse reads the flags; what is left are arguments, of which there may be so many.
func (c *common) parse(args []string, most int) error {
	if err := ParseFlags(c.flags, args); err != nil {
		return &UsageError{err}
	}
	if c.flags.NArg() > most {
		return &UsageError{fmt.Errorf("%q is not understood: flags stand before other arguments", c.flags.Arg(most))}
	}
	if c.namespace == "" {
		c.namespace = DefaultNamespace(c.flags.Lookup(config.KubeconfigFlagName).Value.String())
	}
	if c.domain == "" {
		return nil
	}
	domain, err := jid.PrepareDomain(c.domain)
	if err != nil {
		return &UsageError{fmt.Errorf("--domain %q is no XMPP domain: %w", c.domain, err)}
	}
	c.domain = domain
	return nil
}

func (c *common) database() string { return filepath.Join(c.dataDir, "chat.db") }

// connected makes the client of the cluster that the flags name.
func connected(connect func(*rest.Config) (client.Client, error)) (client.Client, error) {
	kubernetes, err := config.GetConfig()
	if err != nil {
		return nil, fmt.Errorf("no Kubernetes cluster is configured: give --kubeconfig, set KUBECONFIG, or run in a Pod: %w", err)
	}
	// The API server's own priority and fairness keep order among clients.
	kubernetes.QPS = -1
	live, err := connect(kubernetes)
	if err != nil {
		return nil, fmt.Errorf("the Kubernetes API server cannot be used: %w", err)
	}
	return live, nil
}

const exportUsage = `chat-operator export [flags]

Writes everything of an installation down: its resources and Secrets, and what the server remembers. The server may go on running meanwhile.
In a cluster:

  (umask 077; kubectl exec -n chat chat-operator-0 -- /chat-operator export > backup.tar.gz)

Whoever has the export can log in as anybody: keep it like a password.`

func runExport(ctx context.Context, args []string, connect func(*rest.Config) (client.Client, error), std Streams) error {
	c := newCommon("export", exportUsage, std.Err)
	var output string
	var without, anyNamespace bool
	c.flags.StringVar(&output, "o", "-", "where to: a new folder, a file that ends in .tar.gz, .tgz or .tar, or - for a compressed tar archive on the standard output")
	c.flags.BoolVar(&without, "without-secrets", false, "leave all Secrets and credentials out: accounts get new passwords where it is read in, unless their Secrets are there already")
	c.flags.BoolVar(&anyNamespace, "any-namespace", false, "export also from a namespace that has none of the resources that the database knows of")
	if err := c.parse(args, 0); err != nil {
		return err
	}
	if f, ok := std.Out.(*os.File); ok && output == "-" {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			return &UsageError{errors.New("an archive is not for reading on a screen: send it to a file (> backup.tar.gz), or give -o")}
		}
	}
	live, err := connected(connect)
	if err != nil {
		return err
	}
	out, finish, err := newSink(output, std.Out)
	if err != nil {
		return err
	}
	e := exporter{
		live: live, namespace: c.namespace, domain: c.domain, secretName: c.secretName, database: c.database(), secrets: !without, anyNamespace: anyNamespace,
		progress: newProgress(std.Err, c.quiet), notes: &notes{}, out: out,
	}
	err = finish(e.run(ctx))
	for _, note := range e.notes.list {
		fmt.Fprintln(std.Err, "Note:", note)
	}
	if err == nil && e.lost > 0 {
		return fmt.Errorf("%s of the database cannot be read, and the export has everything else: the notes above say which", counted(e.lost, "row"))
	}
	return err
}

// otherArchives are endings of archives that an export is none of. A folder of such a name would be taken for one.
var otherArchives = []string{".zip", ".gz", ".bz2", ".tbz", ".tbz2", ".xz", ".txz", ".zst", ".tzst", ".lz4", ".br", ".7z", ".rar"}

// newSink opens what an export is written to. The file of an archive has its name only once it is whole; finish sees to that, and
// takes away what an export that failed has left.
func newSink(output string, stdout io.Writer) (_ sink, finish func(error) error, err error) {
	compressed := strings.HasSuffix(output, ".tar.gz") || strings.HasSuffix(output, ".tgz")
	switch {
	case output == "":
		return nil, nil, &UsageError{errors.New("-o says where the export goes, and is empty")}
	case slices.Contains(otherArchives, strings.ToLower(filepath.Ext(output))) && !compressed:
		return nil, nil, &UsageError{fmt.Errorf("-o %s is the name of an archive that is not written here: those that end in .tar.gz, .tgz or .tar are, and a folder has another name", output)}
	case output == "-":
		archive := newTarball(stdout, true)
		return archive, func(err error) error { return errors.Join(err, archive.release()) }, nil
	case !compressed && !strings.HasSuffix(output, ".tar"):
		f, err := newFolder(output)
		if err != nil {
			return nil, nil, err
		}
		return f, f.finish, nil
	}
	if _, err := os.Lstat(output); err == nil {
		return nil, nil, fmt.Errorf("the file %s is there already, and is not overwritten: name a new one", output)
	}
	file, err := os.CreateTemp(filepath.Dir(output), ".chat-operator-export-*")
	if err != nil {
		return nil, nil, fmt.Errorf("the file %s cannot be made: %w", output, err)
	}
	archive := newTarball(file, compressed)
	return archive, func(err error) error {
		if err = errors.Join(err, archive.release()); err == nil {
			err = file.Sync()
		}
		err = errors.Join(err, file.Close())
		if err == nil {
			err = os.Rename(file.Name(), output)
		}
		if err != nil {
			_ = os.Remove(file.Name())
		}
		return err
	}, nil
}
