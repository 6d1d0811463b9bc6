package transfer

import (
	"context"
	"fmt"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/store"
)

// batchSize and batchBytes bound the rows of one write.
const (
	batchSize  = 500
	batchBytes = 4 << 20
)

// batch is rows of one table that are compared or written together.
type batch struct {
	carrier carrier
	rows    []store.Row
	bytes   int
}

func (b *batch) add(row store.Row) {
	b.rows = append(b.rows, row)
	for _, value := range row {
		switch v := value.(type) {
		case []byte:
			b.bytes += len(v)
		case string:
			b.bytes += len(v)
		}
	}
}

// labels say what the rows of a table are.
func label(table string) string {
	words := map[string]string{
		tableRoster: "contacts", tableOffline: "offline messages", tableVCard: "vCards", tableIdentity: "names with data", tableRoom: "rooms' subjects and pictures",
		tableNickname: "reserved nicknames", tableArchive: "archived messages", "last_activity": "times of last activity",
		"inflight": "messages on their way", tableAudit: "entries of the audit log",
	}
	if word, ok := words[table]; ok {
		return word
	}
	return table
}

// columns are those that the lines of a table have.
func (m *importer) columns(table string) []store.Column {
	for _, c := range carriers() {
		if c.table == table {
			t := m.tables[table]
			columns := c.kept(&t)
			if c.room != "" {
				columns = append(columns, store.Column{Name: roomName, Type: "TEXT"})
			}
			return columns
		}
	}
	return nil
}

// merge says how the rows of a table come in.
func (m *importer) merge(table string) store.Merge {
	merge := store.Merge{Table: table, Replace: m.rule == onConflictReplace}
	// An export writes XML and lists of groups in one way; what is here is as a client wrote it.
	switch table {
	case tableRoster:
		merge.Alike = map[string]func(a, b any) bool{"request": alikeIn(canonicalPayload), "group_names": alikeGroups}
	case tableOffline:
		merge.Alike = map[string]func(a, b any) bool{"stanza": alikeIn(canonicalElement)}
	case tableVCard:
		merge.Alike = map[string]func(a, b any) bool{"card": alikeIn(canonicalElement)}
	case tableRoom:
		// The number is the room's own, here; the uid follows when somebody enters.
		merge.Ignore, merge.Numbered, merge.Counter = []string{"owner", "uid"}, "owner", tableArchive
	case tableIdentity:
		// What is known here of a name that is declared here is more recent.
		merge.Ignore, merge.Replace = []string{"uid"}, false
	}
	return merge
}

// The passes over what the server is to remember, as their progress names them.
const (
	comparing = "comparing "
	writing   = "writing "
)

// eachBatch hands out everything that the server is to remember, in the order in which it is written.
func (m *importer) eachBatch(ctx context.Context, pass string, do func(context.Context, *batch) error) error {
	if err := m.eachPerson(ctx, pass, do); err != nil {
		return err
	}
	for _, c := range lineTables() {
		b := &batch{carrier: c}
		m.progress.begin(pass+label(c.table), 0)
		err := m.bundle.rows(c.table, m.columns(c.table), func(row store.Row) error {
			m.progress.step()
			if err := checkRow(&c, row); err != nil {
				m.report.fail(label(c.table), "Left out among the %s: %v", label(c.table), err)
				return nil
			}
			if reason := m.leftOut(&c, row); reason != "" {
				m.report.add(label(c.table), func(t *tally) { t.left++ }, "")
				return nil
			}
			b.add(row)
			return m.full(ctx, b, do)
		})
		if err != nil {
			return err
		}
		if err := m.flush(ctx, b, do); err != nil {
			return err
		}
	}
	m.progress.end()
	return nil
}

func (m *importer) eachPerson(ctx context.Context, pass string, do func(context.Context, *batch) error) error {
	batches := map[string]*batch{}
	var order []*batch
	for _, c := range carriers() {
		if c.how == inPersonal {
			batches[c.table] = &batch{carrier: c}
			order = append(order, batches[c.table])
		}
	}
	add := func(table string, row store.Row) error {
		b := batches[table]
		b.add(row)
		return m.full(ctx, b, do)
	}
	m.progress.begin(pass+"people", 0)
	taken := false
	err := m.bundle.people(pieReader{
		note: m.notes.add,
		lost: func(table, why string) {
			if taken {
				m.report.fail(label(table), "Left out among the %s of %s", label(table), why)
			}
		},
		begin: func(host string, p *person) func(*message) error {
			m.progress.step()
			taken = m.takes(host, p)
			return func(one *message) error {
				switch {
				case !taken:
					return nil
				case one.id == 0:
					m.report.fail(label(tableOffline), "Left out among the %s of %s: one that has no number, as an export gives it", label(tableOffline), p.username)
					return nil
				}
				return add(tableOffline, one.row(p.username))
			}
		},
		each: func(_ string, p *person) error {
			if !taken {
				return nil
			}
			for i := range p.contacts {
				if err := add(tableRoster, p.contacts[i].row(p.username)); err != nil {
					return err
				}
			}
			if p.vcard != nil {
				return add(tableVCard, store.Row{"username": p.username, "card": p.vcard})
			}
			return nil
		},
	})
	if err != nil {
		return err
	}
	for _, b := range order {
		if err := m.flush(ctx, b, do); err != nil {
			return err
		}
	}
	return nil
}

// takes says whether what belongs to a person is read in.
func (m *importer) takes(host string, p *person) bool {
	if host != m.domain {
		m.notes.add(fmt.Sprintf("what belongs to %s of the host %q was left out: this server has the domain %s", p.username, host, m.domain))
		return false
	}
	if err := checkUsername(p.username); err != nil {
		m.report.fail("people", "Left out among the people: %v", err)
		return false
	}
	if _, blocked := m.blocked[name{directory.KindUser.String(), p.username}]; blocked {
		m.report.add("people", func(t *tally) { t.left++ }, "")
		return false
	}
	return true
}

func (m *importer) full(ctx context.Context, b *batch, do func(context.Context, *batch) error) error {
	if len(b.rows) < batchSize && b.bytes < batchBytes {
		return nil
	}
	return m.flush(ctx, b, do)
}

func (m *importer) flush(ctx context.Context, b *batch, do func(context.Context, *batch) error) error {
	if len(b.rows) == 0 {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	err := do(ctx, b)
	b.rows, b.bytes = nil, 0
	return err
}

// leftOut says why a row is not read in; empty: it is.
func (m *importer) leftOut(c *carrier, row store.Row) string {
	identity := name{}
	switch {
	case c.person != "":
		identity = name{directory.KindUser.String(), row[c.person].(string)}
	case c.room != "":
		identity = name{directory.KindRoom.String(), row[roomName].(string)}
	case c.table == tableRoom:
		identity = name{directory.KindRoom.String(), row["name"].(string)}
	case c.table == tableIdentity:
		identity = name{row["kind"].(string), row["name"].(string)}
	}
	return m.blocked[identity]
}

// compareBatch counts what would become of rows, for the plan.
func (m *importer) compareBatch(ctx context.Context, b *batch) error {
	known := b.rows[:0:0]
	for _, row := range b.rows {
		if b.carrier.room == "" {
			known = append(known, row)
			continue
		}
		if owner, ok := m.rooms[row[roomName].(string)]; ok {
			row[b.carrier.room] = owner
			known = append(known, row)
		} else {
			m.report.add(label(b.carrier.table), func(t *tally) { t.made++ }, "")
		}
	}
	outcomes, err := m.snapshot.Compare(ctx, m.merge(b.carrier.table), known)
	if err != nil {
		return err
	}
	if b.carrier.table == tableAudit {
		// It is a log: an entry gets another number where another one has its.
		for i := range outcomes {
			if outcomes[i] != store.Same {
				outcomes[i] = store.Added
			}
		}
	}
	m.count(b.carrier.table, known, outcomes)
	return nil
}

// count adds outcomes to the report.
func (m *importer) count(table string, rows []store.Row, outcomes []store.Outcome) {
	what := label(table)
	for i, outcome := range outcomes {
		switch {
		case outcome == store.Added:
			m.report.add(what, func(t *tally) { t.made++ }, "")
		case outcome == store.Replaced:
			m.report.add(what, func(t *tally) { t.replaced++ }, "")
		case outcome == store.Same, table == tableIdentity:
			m.report.add(what, func(t *tally) { t.same++ }, "")
		default:
			m.report.add(what, func(t *tally) { t.conflicts++ }, "In conflict among the %s: %s", what, m.describe(table, rows[i]))
		}
	}
}

// describe names a row for a person, without what is said in it.
func (m *importer) describe(table string, row store.Row) string {
	var parts []string
	for _, c := range m.tables[table].Columns {
		if v, ok := row[c.Name]; ok && c.Key && c.Type != "BYTEA" {
			parts = append(parts, fmt.Sprintf("%s %v", c.Name, v))
		}
	}
	if room, ok := row[roomName]; ok {
		parts = append(parts, fmt.Sprintf("room %v", room))
	}
	return fmt.Sprint(parts)
}

// writeData writes what the server is to remember.
func (m *importer) writeData(ctx context.Context) error {
	if err := m.purgeWaiting(ctx); err != nil {
		return err
	}
	// Resources have the uids that this cluster gave them.
	uids := map[name]string{}
	there, err := readNamespace(ctx, m.live, m.namespace)
	if err != nil {
		return err
	}
	for identity, claimants := range there.claims() {
		if keepsData(identity.kind) {
			uids[identity] = string(claimants[0].GetUID())
		}
	}
	if m.rooms, err = m.store.RoomOwners(ctx); err != nil {
		return err
	}
	m.report.forgetData()
	rooms := false
	return m.eachBatch(ctx, writing, func(ctx context.Context, b *batch) error {
		if b.carrier.room != "" && !rooms {
			if m.rooms, err = m.store.RoomOwners(ctx); err != nil {
				return err
			}
			rooms = true
		}
		return m.writeBatch(ctx, b, uids)
	})
}

func (m *importer) writeBatch(ctx context.Context, b *batch, uids map[name]string) error {
	rows := b.rows[:0:0]
	for _, row := range b.rows {
		switch {
		case b.carrier.table == tableIdentity:
			row["uid"] = uids[name{row["kind"].(string), row["name"].(string)}]
		case b.carrier.table == tableRoom:
			row["uid"] = uids[name{directory.KindRoom.String(), row["name"].(string)}]
		case b.carrier.room != "":
			owner, ok := m.rooms[row[roomName].(string)]
			if !ok {
				m.report.add(label(b.carrier.table), func(t *tally) { t.failed++ }, "The room %s, which something belongs to, is not in the export", row[roomName])
				continue
			}
			row[b.carrier.room] = owner
		}
		rows = append(rows, row)
	}
	var outcomes []store.Outcome
	var err error
	if b.carrier.table == tableAudit {
		outcomes, err = m.store.MergeAudit(ctx, rows)
	} else {
		outcomes, err = m.store.MergeRows(ctx, m.merge(b.carrier.table), rows)
	}
	if err != nil {
		return err
	}
	m.count(b.carrier.table, rows, outcomes)
	return nil
}
