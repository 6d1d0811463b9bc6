package transfer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/store"
)

// conflictRule says what becomes of what is there already and differs.
type conflictRule string

const (
	// onConflictFail changes nothing at all when there is a conflict.
	onConflictFail conflictRule = "fail"
	// onConflictSkip leaves what is there.
	onConflictSkip conflictRule = "skip"
	// onConflictReplace puts the export's in its place.
	onConflictReplace conflictRule = "replace"
)

// importer reads a bundle into an installation.
//
// What the server remembers is written into its database by this process alone, which holds the lock of the database from before the first
// resource is made: a server that ran meanwhile would have in memory what is not so any more, and would generate passwords for accounts
// whose Secrets are about to come. Resources without data can be read in beside a running server.
type importer struct {
	live       client.Client
	namespace  string
	domain     string // empty: that of the bundle
	secretName string
	database   string
	rule       conflictRule
	dryRun     bool
	// moveAside gives the database that is there another name, and reads into a new one.
	moveAside bool
	// resources and data say which halves are read in.
	resources, data bool
	// fresh says that there was no database before.
	fresh bool
	// begun says that something may have been changed: until then, what is counted is a plan.
	begun bool

	progress *progress
	notes    *notes
	bundle   *bundle

	lock     *store.Locked   // of a database that is to be moved aside
	store    *store.Store    // nil in a dry run, without data, and while lock is held
	snapshot *store.Snapshot // of the database as it was before, or of an empty one
	tables   map[string]store.Table
	there    *resources
	report   report

	// blocked are names whose data is not read in, with the reason.
	blocked map[name]string
	// waiting are names in the target that are deleted and keep their data for a while.
	waiting map[name]store.Row
	// purged are those of them whose place is taken.
	purged []name
	// rooms are the numbers of rooms in the target.
	rooms map[string]int64
}

// name is a chat name of a kind.
type name struct {
	kind, name string // the kind as directory.Kind says it
}

// ConflictError says that what is there and what was to be read in differ, and that nothing was changed.
// Deleted counts those of them that are names which were deleted here and whose data is kept for a while; Resources says that resources could come alone.
type ConflictError struct {
	Count, Deleted int
	Resources      bool
}

func (e *ConflictError) Error() string {
	if e.Deleted > 0 && e.Resources {
		return e.deleted()
	}
	things, them, their := "things are there already and differ", "them as they are", "their"
	if e.Count == 1 {
		things, them, their = "thing is there already and differs", "it as it is", "its"
	}
	return fmt.Sprintf("%d %s, and nothing was changed: look at the list above, and give --on-conflict=skip to leave %s, "+
		"or --on-conflict=replace to put what is read in in %s place", e.Count, things, them, their)
}

// deleted names what works for a deletion that was a mistake first.
func (e *ConflictError) deleted() string {
	others := ""
	if n := e.Count - e.Deleted; n > 0 {
		others = fmt.Sprintf(", and %s differ", counted(n, "other thing"))
		if n == 1 {
			others = ", and 1 other thing differs"
		}
	}
	names := "names were"
	if e.Deleted == 1 {
		names = "name was"
	}
	return fmt.Sprintf("%d %s deleted here and all that belongs to them is kept still%s; nothing was changed. To undo the deletion, start the server and read in the resources alone "+
		"beside it, with --only=resources: everything that is kept comes back with them. Else look at the list above, and give --on-conflict=skip to leave what is here as it is, or "+
		"--on-conflict=replace to purge it and put what is read in in its place", e.Deleted, names, others)
}

// run reads everything in.
func (m *importer) run(ctx context.Context) (err error) {
	m.blocked, m.waiting, m.rooms = map[name]string{}, map[name]store.Row{}, map[string]int64{}
	if err := checkNamespace(ctx, m.live, m.namespace, "make it first, or name another one with --namespace"); err != nil {
		return err
	}
	if err := m.open(ctx); err != nil {
		return err
	}
	defer func() {
		if m.snapshot != nil {
			err = errors.Join(err, m.snapshot.Close())
		}
		if m.store != nil {
			err = errors.Join(err, m.store.Close())
		}
		if m.lock != nil {
			err = errors.Join(err, m.lock.Release())
		}
	}()
	if m.there, err = readNamespace(ctx, m.live, m.namespace); err != nil {
		return err
	}
	if err := m.checkDomain(ctx); err != nil {
		return err
	}
	if err := m.checkOwner(ctx); err != nil {
		return err
	}
	if m.fresh && m.there.count() > len(m.there.Secrets) {
		m.notes.add(fmt.Sprintf("there are chat resources in namespace %q already, and no database was at %s: if their server remembers something, "+
			"that is in another folder, which --data-dir names", m.namespace, m.database))
	}
	plan, err := m.plan(ctx)
	if err != nil {
		return err
	}
	if conflicts := m.report.conflicts(); conflicts > 0 && m.rule == onConflictFail {
		return &ConflictError{Count: conflicts, Deleted: m.report.of(deletedNames).conflicts, Resources: m.resources}
	}
	m.begun = !m.dryRun
	if err := m.makeRoom(ctx); err != nil {
		m.nothingMade(plan)
		return err
	}
	if m.store != nil {
		err := m.store.ClaimDomain(ctx, m.domain)
		if err == nil {
			err = m.store.ClaimNamespace(ctx, m.namespace, "")
		}
		if err != nil {
			m.nothingMade(plan)
			return err
		}
	}
	if m.resources {
		if err := m.makeResources(ctx, plan); err != nil {
			m.nothingMade(plan)
			return err
		}
	}
	if m.snapshot != nil {
		// What is written from here on would stay in the log of the database for as long as this reads.
		err := m.snapshot.Close()
		if m.snapshot = nil; err != nil {
			return err
		}
	}
	if m.dryRun || !m.data {
		return m.report.failed()
	}
	if err := m.writeData(ctx); err != nil {
		return err
	}
	return m.report.failed()
}

// open opens the database: to write, unless nothing is written.
func (m *importer) open(ctx context.Context) error {
	if !m.data {
		if m.moveAside {
			return errors.New("--move-aside makes room for what the server remembers, and there is nothing of that to be read in")
		}
		return nil
	}
	if m.bundle.index.Tables != 0 && m.bundle.index.Tables != store.TablesVersion() {
		return fmt.Errorf("the export has tables of version %d, and this program's are at %d: read it in with the version that made it, and upgrade then",
			m.bundle.index.Tables, store.TablesVersion())
	}
	_, err := os.Stat(m.database)
	m.fresh = errors.Is(err, fs.ErrNotExist)
	if !m.dryRun {
		// A folder that is missing is more often a mistake than a wish.
		if _, err := os.Stat(filepath.Dir(m.database)); err != nil {
			return fmt.Errorf("the folder of --data-dir cannot be used: %w", err)
		}
		var err error
		if m.moveAside {
			m.lock, err = store.Lock(m.database)
		} else {
			m.store, err = store.Open(ctx, m.database, slog.New(slog.DiscardHandler))
		}
		if errors.Is(err, store.ErrInUse) {
			otherwise := ""
			if m.resources {
				otherwise = ", or give --only=resources"
			}
			return fmt.Errorf("%w. What the server remembers can only be read in while it is stopped: scale it to 0%s", err, otherwise)
		}
		if err != nil {
			return err
		}
	}
	var snapshot *store.Snapshot
	err = fs.ErrNotExist
	if !m.moveAside {
		snapshot, err = store.OpenSnapshot(ctx, m.database)
	}
	if (m.dryRun || m.moveAside) && errors.Is(err, fs.ErrNotExist) {
		snapshot, err = emptySnapshot(ctx) // everything will be new
	}
	if err != nil {
		return err
	}
	m.snapshot, m.tables = snapshot, map[string]store.Table{}
	for _, t := range snapshot.Tables() {
		m.tables[t.Name] = t
	}
	if err := snapshot.Rows(ctx, tableRoom, "", nil, func(row store.Row) error {
		m.rooms[row["name"].(string)] = row["owner"].(int64)
		return nil
	}); err != nil {
		return err
	}
	return snapshot.Rows(ctx, tableIdentity, "", nil, func(row store.Row) error {
		if row["state"] != string(store.Active) && keepsData(row["kind"].(string)) {
			m.waiting[name{row["kind"].(string), row["name"].(string)}] = row
		}
		return nil
	})
}

// makeRoom moves the database aside that is there, and opens a new one. It comes after everything that may still be refused.
func (m *importer) makeRoom(ctx context.Context) error {
	if !m.moveAside {
		return nil
	}
	if m.dryRun {
		m.notes.add(fmt.Sprintf("the database %s would be kept under another name, and a new one made", m.database))
		return nil
	}
	moved, err := m.lock.MoveAside(time.Now())
	if err != nil {
		return err
	}
	if moved != "" {
		m.notes.add(fmt.Sprintf("the database that was there is now %s, with the files whose names begin like that; delete them when nobody needs them any more", moved))
	}
	lock := m.lock
	m.lock = nil
	m.store, err = lock.Open(ctx, slog.New(slog.DiscardHandler))
	return err
}

// emptySnapshot is that of a database that was just made.
func emptySnapshot(ctx context.Context) (*store.Snapshot, error) {
	folder, err := os.MkdirTemp("", "chat-operator-import-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(folder) }() // what is open stays readable
	path := filepath.Join(folder, "chat.db")
	s, err := store.Open(ctx, path, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	snapshot, err := store.OpenSnapshot(ctx, path)
	return snapshot, errors.Join(err, s.Close())
}

// checkDomain refuses what was written for another domain: addresses are everywhere in it.
func (m *importer) checkDomain(ctx context.Context) error {
	if m.snapshot != nil {
		kept, err := m.snapshot.Domain(ctx)
		switch {
		case err != nil:
			return err
		case m.domain != "" && kept != "" && kept != m.domain:
			return fmt.Errorf("the database is that of the domain %s, and not of %s: give --domain=%s", kept, m.domain, kept)
		case m.domain == "":
			m.domain = kept
		}
	}
	if m.domain == "" {
		m.domain = m.there.domain()
	}
	if m.domain != "" && m.domain != m.bundle.index.Domain {
		return fmt.Errorf("the export is of the domain %s, and this server has the domain %s: an export can only be read in for its own domain", m.bundle.index.Domain, m.domain)
	}
	m.domain = m.bundle.index.Domain
	if there := m.there.domain(); m.snapshot == nil && there != "" && there != m.domain {
		return fmt.Errorf("what is read in is of the domain %s, and the chat server of namespace %q has the domain %s: name another namespace, or read users of another server in with --domain=%[3]s",
			m.domain, m.namespace, there)
	}
	return nil
}

// checkOwner refuses a database of another namespace: its server would have the data, and this one's the resources.
func (m *importer) checkOwner(ctx context.Context) error {
	if m.snapshot == nil {
		return nil
	}
	owner, err := m.snapshot.Namespace(ctx)
	if err == nil && owner != "" && owner != m.namespace {
		return fmt.Errorf("the database %s is that of the namespace %s, and not of %s: give --namespace=%s, or the folder for this namespace's with --data-dir; "+
			"--move-aside keeps it under another name, and reads into a new one", m.database, owner, m.namespace, owner)
	}
	return err
}

// chatName is the chat name that a resource declares, if data is remembered of its kind.
func chatName(o client.Object) (name, bool) {
	switch t := o.(type) {
	case *v1alpha1.ChatUser:
		username, err := jid.PrepareLocal(t.EffectiveUsername())
		return name{directory.KindUser.String(), username}, err == nil
	case *v1alpha1.ChatRoom:
		local, err := jid.PrepareLocal(t.EffectiveRoomName())
		return name{directory.KindRoom.String(), directory.RoomIdentity(local, t.EffectiveService())}, err == nil
	case *v1alpha1.ChatGroup:
		return name{directory.KindGroup.String(), t.EffectiveGroupName()}, true
	case *v1alpha1.SystemProperty:
		return name{directory.KindProperty.String(), t.EffectiveKey()}, true
	}
	return name{}, false
}
