package transfer

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/chat-operator/chat-operator/xmpp/auth"
	"github.com/chat-operator/chat-operator/xmpp/jid"
)

const importUsage = `chat-operator import [flags] [SOURCE]

Reads a chat server in: an export of this program, users of any server in the form of XEP-0227, the users that Openfire's plugin "User Import
Export" writes, or a running Openfire through its REST API. SOURCE is a folder, a file, or - for the standard input.

What the server remembers (contacts, messages) is only written while no server has the database. --dry-run says what would be made, what is in
conflict and what is left out, and changes nothing; it may run beside a server. With --output-dir, nothing is read in: manifests for a repository, and the
rest for a later import, are written there.

  chat-operator import backup.tar.gz
  chat-operator import --domain chat.example openfire-users.xml
  chat-operator import --from openfire-rest --url https://openfire.example:9091 --secret-file secret.txt`

// The sources, as --from names them.
const (
	fromAuto         = "auto"
	fromBackup       = "backup"
	fromXEP0227      = "xep-0227"
	fromOpenfireXML  = "openfire-xml"
	fromOpenfireREST = "openfire-rest"
)

// What becomes of users without a password that could be taken over, as --without-password names it.
const (
	withoutGenerate = "generate"
	withoutLock     = "lock"
)

// defaultMaxBytes is how much an archive may unpack to without being asked.
const defaultMaxBytes = 16 << 30

// importOptions are the flags of the import.
type importOptions struct {
	*common
	source, from         string
	onConflict, only     string
	dryRun, moveAside    bool
	maxBytes             int64
	outputDir            string
	sourceDomain         string
	declareContacts      bool
	without, scramKeys   string
	url, secretFile, ca  string
	insecure, properties bool
	allowHTTP            bool
}

func parseImport(args []string, out io.Writer) (*importOptions, error) {
	o := &importOptions{common: newCommon("import", importUsage, out)}
	f := o.flags
	f.StringVar(&o.from, "from", fromAuto, "what the source is: backup, xep-0227, openfire-xml, openfire-rest, or auto, which looks at it")
	f.StringVar(&o.onConflict, "on-conflict", string(onConflictFail), "what becomes of what is there already and differs: fail (nothing is changed at all), skip (it stays) or "+
		"replace (what is read in takes its place)")
	f.StringVar(&o.only, "only", "", "read in one half: resources (also beside a running server), or data, which is what the server remembers")
	f.BoolVar(&o.moveAside, "move-aside", false, "keep the SQLite files of the database that is there under a name with the date, and read into a new one: for a database that is damaged, "+
		"or that a newer version made")
	f.BoolVar(&o.dryRun, "dry-run", false, "only say what would happen")
	f.Int64Var(&o.maxBytes, "max-bytes", defaultMaxBytes, "how much an archive may unpack to")
	f.StringVar(&o.outputDir, "output-dir", "", "new folder for manifests and data of another server; nothing is read in, and no cluster is needed")
	f.StringVar(&o.sourceDomain, "source-domain", "", "domain that the other server has, if it is another one than --domain: addresses of it become those of this server")
	f.BoolVar(&o.declareContacts, "declare-contacts", false, "put the contacts of another server's users into their ChatUsers, up to 1,000 each, instead of into the database; no server has to be stopped for that")
	f.StringVar(&o.without, "without-password", withoutGenerate, "what becomes of users whose password cannot be taken over: generate (they get one, in a Secret) or lock (they cannot log in)")
	f.StringVar(&o.scramKeys, "scram-keys", "", "CSV file with the columns username, storedKey, serverKey, salt and iterations of Openfire's table ofUser, by which passwords stay what they are")
	f.StringVar(&o.url, "url", "", "where Openfire serves its REST API, as in https://openfire.example:9091")
	f.StringVar(&o.secretFile, "secret-file", "", "file with the shared secret of Openfire's REST API, or with USER:PASSWORD of an administrator")
	f.StringVar(&o.ca, "ca-file", "", "certificates (PEM) that Openfire's is checked by; empty: those of the system")
	f.BoolVar(&o.insecure, "insecure-skip-tls-verify", false, "do not check Openfire's certificate")
	f.BoolVar(&o.allowHTTP, "allow-http", false, "let --url be an http address of another machine: the secret, contacts and passwords of rooms go over the network in clear")
	f.BoolVar(&o.properties, "all-properties", false, "take all system properties of Openfire that are not secret, not only those that this server acts on")
	if err := o.parse(args, 1); err != nil {
		return nil, err
	}
	o.source = f.Arg(0)
	switch {
	case !slices.Contains([]string{fromAuto, fromBackup, fromXEP0227, fromOpenfireXML, fromOpenfireREST}, o.from):
		return nil, &UsageError{fmt.Errorf("--from is %q, and has to be backup, xep-0227, openfire-xml, openfire-rest or auto", o.from)}
	case !slices.Contains([]conflictRule{onConflictFail, onConflictSkip, onConflictReplace}, conflictRule(o.onConflict)):
		return nil, &UsageError{fmt.Errorf("--on-conflict is %q, and has to be fail, skip or replace", o.onConflict)}
	case !slices.Contains([]string{"", "resources", "data"}, o.only):
		return nil, &UsageError{fmt.Errorf("--only is %q, and has to be resources or data", o.only)}
	case o.moveAside && (o.only == "resources" || o.outputDir != ""):
		return nil, &UsageError{errors.New("--move-aside makes room for what the server remembers, which is not read in here")}
	case o.without != withoutGenerate && o.without != withoutLock:
		return nil, &UsageError{fmt.Errorf("--without-password is %q, and has to be generate or lock", o.without)}
	case o.from == fromOpenfireREST && (o.source != "" || o.url == "" || o.secretFile == ""):
		return nil, &UsageError{errors.New("a running Openfire is read from --url, by --secret-file, and from nothing else")}
	case o.from != fromOpenfireREST && o.source == "":
		return nil, &UsageError{errors.New("name what is to be read in: a folder, a file, or - for the standard input")}
	}
	if o.sourceDomain != "" {
		domain, err := jid.PrepareDomain(o.sourceDomain)
		if err != nil {
			return nil, &UsageError{fmt.Errorf("--source-domain %q is no XMPP domain: %w", o.sourceDomain, err)}
		}
		o.sourceDomain = domain
	}
	return o, nil
}

// job is one import on its way.
type job struct {
	*importOptions
	std      Streams
	live     client.Client
	progress *progress
	notes    *notes
	cleanup  []func()
	// generated and locked are users who have no password from the other server.
	generated, locked []string
}

func runImport(ctx context.Context, args []string, connect func(*rest.Config) (client.Client, error), std Streams) error {
	o, err := parseImport(args, std.Err)
	if err != nil {
		return err
	}
	j := &job{importOptions: o, std: std, progress: newProgress(std.Err, o.quiet), notes: &notes{}}
	defer func() {
		for _, undo := range slices.Backward(j.cleanup) {
			undo()
		}
	}()
	if o.outputDir == "" {
		if j.live, err = connected(connect); err != nil {
			return err
		}
	}
	root, err := j.open(ctx)
	j.progress.end()
	if err != nil || o.outputDir != "" {
		j.tell()
		return err
	}
	b, err := openBundle(root)
	if err != nil {
		return err
	}
	m := importer{
		live: j.live, namespace: o.namespace, domain: o.domain, secretName: o.secretName, database: o.database(),
		rule: conflictRule(o.onConflict), dryRun: o.dryRun, moveAside: o.moveAside, resources: o.only != "data", data: o.only != "resources" && b.index.Data,
		progress: j.progress, notes: j.notes, bundle: b,
	}
	err = m.run(ctx)
	j.progress.end()
	m.report.print(std.Out, !m.begun)
	if err == nil {
		fmt.Fprintln(std.Out, m.where())
	}
	j.tell()
	return err
}

// where says into what everything was read: what a person has not named was guessed.
func (m *importer) where() string {
	if len(m.report.counts) == 0 {
		return "Nothing was read in: neither a resource nor anything that a server remembers is in what was to be read"
	}
	parts := []string{}
	if m.resources {
		parts = append(parts, fmt.Sprintf("namespace %q", m.namespace))
	}
	if m.data {
		database := m.database
		if at, err := filepath.Abs(database); err == nil {
			database = at
		}
		if database = "the database " + database; m.fresh {
			database += ", which is new"
		}
		parts = append(parts, database)
	}
	if m.dryRun {
		return "Without --dry-run, this would go into " + strings.Join(parts, " and ")
	}
	return "Read into " + strings.Join(parts, " and ")
}

// tell says at the end what a person has to know.
func (j *job) tell() {
	for _, note := range j.notes.list {
		fmt.Fprintln(j.std.Out, "Note:", note)
	}
	if len(j.generated) > 0 {
		passwords := "passwords"
		if len(j.generated) == 1 {
			passwords = "password"
		}
		fmt.Fprintf(j.std.Out, "The %s of %s could not be taken over. Each gets a new one, in a Secret that status.binding.name of the ChatUser names:\n",
			passwords, counted(len(j.generated), "user"))
		for _, username := range j.generated {
			fmt.Fprintln(j.std.Out, " ", username)
		}
	}
	if len(j.locked) > 0 {
		are := "are"
		if len(j.locked) == 1 {
			are = "is"
		}
		fmt.Fprintf(j.std.Out, "%s without a password that could be taken over %s locked:\n", counted(len(j.locked), "user"), are)
		for _, username := range j.locked {
			fmt.Fprintln(j.std.Out, " ", username)
		}
	}
}

// folder makes a folder that is taken away in the end.
func (j *job) folder() (*os.Root, error) {
	at, err := os.MkdirTemp("", "chat-operator-import-")
	if err != nil {
		return nil, fmt.Errorf("there is no place for what is read: set TMPDIR to a folder with room: %w", err)
	}
	root, err := os.OpenRoot(at)
	j.cleanup = append(j.cleanup, func() {
		if root != nil {
			_ = root.Close()
		}
		_ = os.RemoveAll(at)
	})
	return root, err
}

// open gives the folder with the export that the source is, or is made into; nil when it was written to --output-dir.
func (j *job) open(ctx context.Context) (*os.Root, error) {
	if j.from == fromOpenfireREST {
		return j.convert(ctx, fromOpenfireREST, nil, nil)
	}
	if j.source != "-" {
		info, err := os.Stat(j.source)
		if err != nil {
			return nil, err
		}
		if info.IsDir() {
			return j.openFolder(ctx)
		}
		file, err := os.Open(j.source)
		if err != nil {
			return nil, err
		}
		j.cleanup = append(j.cleanup, func() { _ = file.Close() })
		return j.openStream(ctx, file)
	}
	return j.openStream(ctx, j.std.In)
}

func (j *job) openFolder(ctx context.Context) (*os.Root, error) {
	root, err := os.OpenRoot(j.source)
	if err != nil {
		return nil, err
	}
	j.cleanup = append(j.cleanup, func() { _ = root.Close() })
	if j.from == fromAuto || j.from == fromBackup {
		return root, j.isBackup()
	}
	return nil, &UsageError{fmt.Errorf("%s is a folder: with --from=%s, name the file in it that everything begins with", j.source, j.from)}
}

// isBackup refuses to convert what needs no conversion.
func (j *job) isBackup() error {
	if j.outputDir != "" {
		return &UsageError{errors.New("an export of this program has its manifests in it already: --output-dir is for other servers")}
	}
	return nil
}

// openStream looks at what a file begins with.
func (j *job) openStream(ctx context.Context, in io.Reader) (*os.Root, error) {
	buffered := bufio.NewReaderSize(in, 64<<10)
	from := j.from
	if from == fromAuto {
		head, err := buffered.Peek(4096)
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
			return nil, err
		}
		if from, err = guess(head); err != nil {
			return nil, fmt.Errorf("%s: %w", j.source, err)
		}
	}
	if from != fromBackup {
		var beside *os.Root
		if from == fromXEP0227 && j.source != "-" {
			var err error
			if beside, err = os.OpenRoot(filepath.Dir(j.source)); err != nil {
				return nil, err
			}
			j.cleanup = append(j.cleanup, func() { _ = beside.Close() })
		}
		return j.convert(ctx, from, buffered, beside)
	}
	if err := j.isBackup(); err != nil {
		return nil, err
	}
	root, err := j.folder()
	if err != nil {
		return nil, err
	}
	if err := unpack(buffered, root, j.maxBytes); err != nil {
		return nil, fmt.Errorf("%s: %w", j.source, err)
	}
	return root, nil
}

// guess says what a file is by how it begins.
func guess(head []byte) (string, error) {
	text := bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\ufeff")), " \t\r\n")
	if !bytes.HasPrefix(text, []byte("<")) {
		return fromBackup, nil
	}
	start, err := newXMLReader(bytes.NewReader(text)).root()
	if err != nil {
		return "", fmt.Errorf("it looks like XML and does not begin with an element: %w", err)
	}
	switch {
	case start.Name.Space == nsPie:
		return fromXEP0227, nil
	case strings.Contains(start.Name.Local, "fire"):
		return fromOpenfireXML, nil
	}
	return "", fmt.Errorf("it begins with the element %s, which says nothing here: name its kind with --from", start.Name.Local)
}

// convert makes an export of what another server gives out.
func (j *job) convert(ctx context.Context, from string, in io.Reader, beside *os.Root) (*os.Root, error) {
	c := &conversion{
		source: from, domain: j.domain, from: j.sourceDomain, declared: j.outputDir != "", declareContacts: j.declareContacts,
		lock: j.without == withoutLock, notes: j.notes, progress: j.progress,
	}
	var err error
	if j.live != nil {
		if c.there, err = readNamespace(ctx, j.live, j.namespace); err != nil {
			return nil, err
		}
		if c.domain == "" {
			c.domain = c.there.domain()
		}
	}
	if c.keys, err = j.readKeys(); err != nil {
		return nil, err
	}
	var root *os.Root
	finish := func(err error) error { return err }
	if j.outputDir != "" {
		out, err := newFolder(j.outputDir)
		if err != nil {
			return nil, err
		}
		c.out, finish = out, out.finish
	} else {
		if root, err = j.folder(); err != nil {
			return nil, err
		}
		c.out = &folder{root: root}
	}
	switch from {
	case fromOpenfireXML:
		err = c.convertOpenfireXML(in)
	case fromXEP0227:
		err = c.convertPeople(func(do func(host string, p *person) error) error {
			p := &pieReader{root: beside, note: j.notes.add, each: do, seen: map[string]bool{filepath.Base(j.source): true}}
			return p.document(in, ".", 0)
		})
	default:
		var o *openfire
		if o, err = newOpenfire(restAccess{url: j.url, secretFile: j.secretFile, caFile: j.ca, insecure: j.insecure, allowHTTP: j.allowHTTP}); err == nil {
			err = c.convertOpenfireREST(ctx, o, j.properties)
		}
	}
	if err = finish(err); err != nil && j.source != "" {
		err = fmt.Errorf("%s: %w", j.source, err)
	}
	j.generated, j.locked = c.generated, c.locked
	return root, err
}

func (j *job) readKeys() (map[string]auth.Credential, error) {
	if j.scramKeys == "" {
		return nil, nil //nolint:nilnil // no keys are no failure
	}
	file, err := os.Open(j.scramKeys)
	if err != nil {
		return nil, fmt.Errorf("--scram-keys: %w", err)
	}
	defer func() { _ = file.Close() }()
	keys, err := readScramKeys(file)
	if err != nil {
		return nil, fmt.Errorf("--scram-keys: %s: %w", j.scramKeys, err)
	}
	return keys, nil
}
