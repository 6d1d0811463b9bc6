package transfer

import (
	"slices"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/store"
)

// carrier says what becomes of a table of the store in an export.
type carrier struct {
	table string
	// how it is carried.
	how way
	// person is the column that holds whose row it is, where it is a user's.
	person string
	// room is the column with the number of the room that the row belongs to. An export has the room's name in its place: numbers are given
	// out anew.
	room string
	// without are the columns that only mean something where the row comes from.
	without []string
	// why says why a table is not carried.
	why string
}

// way is how a table is carried.
type way int

const (
	notCarried way = iota
	// inPersonal puts the rows into the XEP-0227 file of whose they are.
	inPersonal
	// inLines writes a row a line, as JSON.
	inLines
)

// roomName is the key that a line has in place of the number of a room.
const roomName = "room"

// carriers lists every table. A new one is added here: a test fails while it isn't.
func carriers() []carrier {
	return []carrier{
		{table: tableRoster, how: inPersonal, person: "username"},
		{table: tableOffline, how: inPersonal, person: "username"},
		{table: tableVCard, how: inPersonal, person: "username"},
		{table: tableIdentity, how: inLines, without: []string{"uid"}},
		{table: tableRoom, how: inLines, without: []string{"owner", "uid"}},
		{table: tableNickname, how: inLines, room: "owner"},
		{table: tableArchive, how: inLines, room: "owner"},
		{table: "last_activity", how: inLines, person: "username"},
		{table: "inflight", how: inLines, person: "username"},
		{table: tableAudit, how: inLines},
		{table: "archive_dropped", why: "its archives are nobody's any more, and wait to be deleted"},
		{table: "audited", why: "it knows resources by their uids, which a cluster gives out; the next start fills it without recording anything"},
		{table: "installation", why: "the domain is in the index, and is that of the server that reads it in; its namespace is where it is read in"},
		{table: "counter", why: "it counts the numbers that were given out, which follow from the rows"},
	}
}

// The tables that need more than to be copied.
const (
	tableRoster   = "roster"
	tableOffline  = "offline"
	tableVCard    = "vcard"
	tableIdentity = "identity"
	tableRoom     = "room"
	tableNickname = "room_nickname"
	tableArchive  = "archive"
	tableAudit    = "audit_log"
)

// lineTables are those that are carried as lines, in the order in which they are read in again: rooms before what belongs to them.
func lineTables() (list []carrier) {
	for _, c := range carriers() {
		if c.how == inLines {
			list = append(list, c)
		}
	}
	return list
}

// keepsData says whether the store keeps something of names of a kind. Rows of other kinds are notes of work that has to be finished where they are.
func keepsData(kind string) bool {
	return kind == directory.KindUser.String() || kind == directory.KindRoom.String()
}

// kept are the columns of a table that an export has.
func (c *carrier) kept(t *store.Table) (list []store.Column) {
	for _, column := range t.Columns {
		if column.Name != c.room && !slices.Contains(c.without, column.Name) {
			list = append(list, column)
		}
	}
	return list
}
