package transfer

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/controllers/provision"
	"github.com/chat-operator/chat-operator/xmpp/auth"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/store"
)

// exporter writes one installation down.
type exporter struct {
	live       client.Reader
	namespace  string
	domain     string // empty: as the database or the resources tell
	secretName string // of the installation
	database   string // path of the store
	// secrets has credentials written.
	secrets bool
	// anyNamespace takes a namespace that has none of the resources that the database knows of.
	anyNamespace bool

	progress *progress
	notes    *notes
	out      sink

	declared *resources
	// users are those who hold the names of users: others who claim one are not in force.
	users    map[string]*v1alpha1.ChatUser
	snapshot *store.Snapshot
	tables   map[string]store.Table
	// lost counts what was left out, since it cannot be read.
	lost int
	// gone are names that are deleted and only wait to be purged, by kind.
	gone map[string]map[string]bool
}

// chunkSize is about how large the files of lines become.
const chunkSize = 4 << 20

// run writes everything and closes the sink. The store is read as of one moment, while the server goes on; the resources are listed right after it.
func (e *exporter) run(ctx context.Context) (err error) {
	if err := checkNamespace(ctx, e.live, e.namespace, "name another one with --namespace"); err != nil {
		return err
	}
	if e.snapshot, err = store.OpenSnapshot(ctx, e.database); err != nil {
		return err
	}
	defer func() { _ = e.snapshot.Close() }()
	// The moment is taken by the first reading.
	if err := e.findGone(ctx); err != nil {
		return err
	}
	if e.declared, err = readNamespace(ctx, e.live, e.namespace); err != nil {
		return err
	}
	if err := e.checkRelated(ctx); err != nil {
		return err
	}
	if e.domain == "" {
		if e.domain, err = e.snapshot.Domain(ctx); err != nil {
			return err
		}
	}
	if e.domain == "" {
		if e.domain = e.declared.domain(); e.domain == "" {
			return fmt.Errorf("neither the database nor a resource of namespace %q tells the domain of its server: give --domain", e.namespace)
		}
	}
	e.declared.belonging(e.secretName)
	if !e.secrets {
		e.declared.withoutSecrets(e.notes.add)
	}
	claims := e.declared.claims()
	e.declare(claims)
	credentials := e.credentials()
	e.declared.portable(e.notes.add)
	e.progress.begin("resources", e.declared.count())
	if err := e.declared.write(e.out, e.progress.step); err != nil {
		return err
	}
	if err := e.people(ctx, credentials); err != nil {
		return err
	}
	if err := e.lines(ctx); err != nil {
		return err
	}
	e.progress.end()
	// Last, so that what was not finished does not look like an export.
	if err := putIndex(e.out, index{
		Format: formatVersion, Source: sourceBackup, Domain: e.domain, Tables: store.TablesVersion(),
		Secrets: e.secrets, Resources: true, Data: true, Claims: contested(claims),
	}); err != nil {
		return err
	}
	return e.out.close()
}

// domain is that of the addresses which the operator has reported; empty when there are none.
func (r *resources) domain() string {
	for _, u := range sorted(r.Users) {
		if u.Status.JID != nil {
			if j, err := jid.Parse(*u.Status.JID); err == nil {
				return j.Domain()
			}
		}
	}
	for _, room := range sorted(r.Rooms) {
		if room.Status.JID != nil {
			if j, err := jid.Parse(*room.Status.JID); err == nil {
				return strings.TrimPrefix(j.Domain(), room.EffectiveService()+".")
			}
		}
	}
	return ""
}

// declare keeps who holds the names of users.
func (e *exporter) declare(claims map[name][]client.Object) {
	e.users = map[string]*v1alpha1.ChatUser{}
	for identity, claimants := range claims {
		if u, ok := claimants[0].(*v1alpha1.ChatUser); ok {
			e.users[identity.name] = u
		}
	}
}

// findGone reads which names are to be purged at once: what is left of them is nobody's.
func (e *exporter) findGone(ctx context.Context) error {
	e.tables, e.gone = map[string]store.Table{}, map[string]map[string]bool{}
	known := map[string]bool{}
	for _, c := range carriers() {
		known[c.table] = true
	}
	for _, t := range e.snapshot.Tables() {
		if !known[t.Name] {
			return fmt.Errorf("the table %s is not known to the export, which would be incomplete", t.Name)
		}
		e.tables[t.Name] = t
	}
	return e.snapshot.Rows(ctx, tableIdentity, "state", string(store.PurgeNow), func(row store.Row) error {
		kind := row["kind"].(string)
		if e.gone[kind] == nil {
			e.gone[kind] = map[string]bool{}
		}
		e.gone[kind][row["name"].(string)] = true
		return nil
	})
}

// login is how a user logs in.
type login struct {
	password   string
	credential auth.Credential
}

// credentials are those of the Secrets, by username, for the XEP-0227 files.
func (e *exporter) credentials() map[string]login {
	list := map[string]login{}
	for username, u := range e.users {
		name := provision.GeneratedSecretName(u.Name)
		if u.Spec.Credentials != nil {
			name = u.Spec.Credentials.SecretRef.Name
		}
		secret := e.declared.Secrets[name]
		if secret == nil {
			continue
		}
		var l login
		sha256, err256 := auth.ParseVerifier(auth.SHA256, string(secret.Data[v1alpha1.ScramSHA256Key]))
		sha1, err1 := auth.ParseVerifier(auth.SHA1, string(secret.Data[v1alpha1.ScramSHA1Key]))
		if err256 == nil {
			l.credential.SHA256 = sha256
		}
		if err1 == nil {
			l.credential.SHA1 = sha1
		}
		if l.credential.IsZero() {
			l.password = string(secret.Data[v1alpha1.PasswordKey])
		}
		list[username] = l
	}
	return list
}

// people writes the XEP-0227 files: of everybody who is declared, and of those whose data is kept.
func (e *exporter) people(ctx context.Context, credentials map[string]login) error {
	names := map[string]*v1alpha1.ChatUser{}
	for _, table := range []string{tableRoster, tableOffline, tableVCard} {
		list, err := e.snapshot.Distinct(ctx, table, "username")
		if err != nil {
			return err
		}
		for _, name := range list {
			names[name] = nil
		}
	}
	maps.DeleteFunc(names, func(name string, _ *v1alpha1.ChatUser) bool { return e.gone[directory.KindUser.String()][name] })
	maps.Copy(names, e.users)
	e.progress.begin("people", len(names))
	writer := peopleWriter{sink: e.out, domain: e.domain}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		p := &person{username: name, password: credentials[name].password, credential: credentials[name].credential}
		if err := writer.put(p, e.belongings(ctx, name, names[name])); err != nil {
			return err
		}
		e.progress.step()
	}
	return writer.finish()
}

// belongings are what the store has of a user, and the contacts that are declared.
func (e *exporter) belongings(ctx context.Context, name string, declared *v1alpha1.ChatUser) belongings {
	trouble := func(what string, err error) {
		e.lost++
		e.notes.add(fmt.Sprintf("%s of %s is left out, since it cannot be read: %v", what, name, err))
	}
	rows := func(table string, each func(store.Row) error) error {
		return e.snapshot.Rows(ctx, table, "username", name, each)
	}
	asked := false
	return belongings{
		contacts: func(each func(*contact) error) error {
			known, again := map[string]bool{}, asked
			asked = true
			if err := rows(tableRoster, func(row store.Row) error {
				c, err := fromRoster(row)
				switch {
				case err != nil && again:
					return nil
				case err != nil:
					trouble("a contact", err)
					return nil
				}
				known[c.jid] = true
				return each(&c)
			}); err != nil || declared == nil {
				return err
			}
			return eachOf(declaredContacts(declared, known), each)
		},
		card: func() (card []byte, err error) {
			err = rows(tableVCard, func(row store.Row) (err error) {
				if card, err = canonical(row["card"].([]byte), nsClient); err != nil {
					trouble("the vCard", err)
				}
				return nil
			})
			return card, err
		},
		messages: func(each func(*message) error) error {
			return rows(tableOffline, func(row store.Row) error {
				stanza, err := canonical(row["stanza"].([]byte), nsClient)
				if err != nil {
					trouble("an offline message", err)
					return nil
				}
				return each(&message{id: row["id"].(int64), received: row["received"].(int64), stanza: stanza})
			})
		},
	}
}

// declaredContacts are the contacts of a user's resource that the roster in the store has no row of. Other servers have no other way to know them.
func declaredContacts(u *v1alpha1.ChatUser, stored map[string]bool) (list []contact) {
	for i := range u.Spec.Roster {
		d := &u.Spec.Roster[i]
		address, err := bareJID(d.JID)
		if err != nil || stored[address] {
			continue
		}
		c := contact{jid: address, groups: d.Groups, declared: true}
		if d.Nickname != nil {
			c.name = *d.Nickname
		}
		if d.Subscription != nil {
			c.subscription = int64(max(slices.Index(subscriptions[:], strings.ToLower(string(*d.Subscription))), 0))
		}
		list = append(list, c)
	}
	return list
}

// lines writes the tables that XEP-0227 has no place for.
func (e *exporter) lines(ctx context.Context) error {
	rooms := map[string]int64{}
	if err := e.snapshot.Rows(ctx, tableRoom, "", nil, func(row store.Row) error {
		if name := row["name"].(string); !e.gone[directory.KindRoom.String()][name] {
			rooms[name] = row["owner"].(int64)
		}
		return nil
	}); err != nil {
		return err
	}
	for _, c := range lineTables() {
		n, err := e.snapshot.Count(ctx, c.table)
		if err != nil {
			return err
		}
		e.progress.begin(label(c.table), int(n))
		chunk := chunker{sink: e.out, table: c.table}
		if c.room == "" {
			err = e.snapshot.Rows(ctx, c.table, "", nil, func(row store.Row) error {
				e.progress.step()
				if !e.wanted(&c, row) {
					return nil
				}
				return chunk.add(row)
			})
		} else {
			err = e.linesOfRooms(ctx, &c, rooms, &chunk)
		}
		if err != nil {
			return err
		}
		if err := chunk.flush(); err != nil {
			return err
		}
	}
	return nil
}

// linesOfRooms writes what belongs to rooms, by their names: the order of their numbers is another one elsewhere. What belongs to none is
// of an archive that is being deleted.
func (e *exporter) linesOfRooms(ctx context.Context, c *carrier, rooms map[string]int64, chunk *chunker) error {
	for _, name := range slices.Sorted(maps.Keys(rooms)) {
		if err := e.snapshot.Rows(ctx, c.table, c.room, rooms[name], func(row store.Row) error {
			e.progress.step()
			delete(row, c.room)
			row[roomName] = name
			return chunk.add(row)
		}); err != nil {
			return err
		}
	}
	return nil
}

// wanted makes a row what an export has of it; false: it is not in it.
func (e *exporter) wanted(c *carrier, row store.Row) bool {
	if c.person != "" && e.gone[directory.KindUser.String()][row[c.person].(string)] {
		return false
	}
	switch c.table {
	case tableIdentity:
		if !keepsData(row["kind"].(string)) {
			return false
		}
		switch row["state"] {
		case string(store.PurgeNow):
			return false
		case string(store.Moving):
			row["state"] = string(store.Active)
		}
	case tableRoom:
		if e.gone[directory.KindRoom.String()][row["name"].(string)] {
			return false
		}
	}
	for _, column := range c.without {
		delete(row, column)
	}
	return true
}

// chunker writes lines into files of about one size.
type chunker struct {
	sink  sink
	table string
	files int
	buf   []byte
}

func (c *chunker) add(row store.Row) (err error) {
	if c.buf, err = appendLine(c.buf, row); err != nil {
		return fmt.Errorf("writing a row of the table %s: %w", c.table, err)
	}
	if len(c.buf) >= chunkSize {
		return c.flush()
	}
	return nil
}

func (c *chunker) flush() error {
	if len(c.buf) == 0 {
		return nil
	}
	c.files++
	err := c.sink.put(fmt.Sprintf("%s/%s-%06d.jsonl", dataDir, c.table, c.files), c.buf)
	c.buf = c.buf[:0]
	return err
}

// peopleWriter writes the files of XEP-0227 as its §5.1 has them: one of the server, one of the host, one of each user.
type peopleWriter struct {
	sink   sink
	domain string
	files  []string
}

func (w *peopleWriter) put(p *person, has belongings) error {
	name := fileName(w.domain) + "/" + fileName(p.username) + ".xml"
	w.files = append(w.files, name)
	return w.sink.stream(personalDir+"/"+name, func(to io.Writer) error { return writeDocument(to, p, has) })
}

func (w *peopleWriter) finish() error {
	host := attr(attr([]byte("<?xml version='1.0' encoding='UTF-8'?>\n<host"), "xmlns", nsPie), "xmlns:xi", nsInclude)
	host = append(attr(host, "jid", w.domain), ">\n"...)
	for _, name := range w.files {
		host = append(attr(append(host, "  <xi:include"...), "href", name), "/>\n"...)
	}
	host = append(host, "</host>\n"...)
	name := fileName(w.domain) + ".xml"
	if err := w.sink.put(personalDir+"/"+name, host); err != nil {
		return err
	}
	main := attr(attr([]byte("<?xml version='1.0' encoding='UTF-8'?>\n<server-data"), "xmlns", nsPie), "xmlns:xi", nsInclude)
	main = append(attr(append(main, ">\n  <xi:include"...), "href", name), "/>\n</server-data>\n"...)
	return w.sink.put(personalFile, main)
}
