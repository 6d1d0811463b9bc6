package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pressly/goose/v3"
)

// Table is a table as the migrations made it.
type Table struct {
	Name    string
	Columns []Column
}

// Column is a column of a table. Its type is one that the migrations may use.
type Column struct {
	Name, Type string
	// Key says that the column is part of the primary key.
	Key bool
	// Null says that there may be nothing in it.
	Null bool
}

// Row is a row by the names of its columns. Values are string, int64, bool and []byte, by the column's type, or nil.
type Row map[string]any

// Snapshot is everything that is remembered at one moment, for a backup. Another process may have the database meanwhile and go on writing: what
// it writes then is not in the snapshot, and its log grows until the snapshot is closed.
type Snapshot struct {
	path    string
	db      *sql.DB
	conn    *sql.Conn
	dialect dialect
	tables  map[string]Table
}

// OpenSnapshot opens the database at path as it is now. It fails when there is none, and when its tables are not those of this program.
func OpenSnapshot(ctx context.Context, path string) (_ *Snapshot, err error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, unreadable(path, err)
	}
	if _, err := os.Stat(absolute); errors.Is(err, fs.ErrNotExist) {
		return nil, &Error{
			Path: absolute, Kind: ErrUnreadable, Err: err,
			Message: fmt.Sprintf("there is no database %s: name the folder that the server has in --data-dir", absolute),
		}
	} else if err != nil {
		return nil, unreadable(absolute, err)
	}
	s := &Snapshot{path: absolute, dialect: newSQLite(absolute)}
	if s.db, err = sql.Open("sqlite", sqliteSource(absolute, false)); err != nil {
		return nil, s.dialect.explain(err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(s.dialect.explain(err), s.Close())
		}
	}()
	if s.conn, err = s.db.Conn(ctx); err != nil {
		return nil, err
	}
	// The first statement that reads takes the moment.
	if _, err := s.conn.ExecContext(ctx, "BEGIN"); err != nil {
		return nil, err
	}
	var have int64
	if err := s.conn.QueryRowContext(ctx, `SELECT COALESCE(MAX(version_id), 0) FROM `+goose.DefaultTablename).Scan(&have); err != nil {
		return nil, fmt.Errorf("reading the version of the database %s, which a server makes when it starts: %w", absolute, s.dialect.explain(err))
	}
	known := TablesVersion()
	switch {
	case have > known:
		return nil, &Error{
			Path: absolute, Kind: ErrNewer,
			Message: fmt.Sprintf("the database %s was made by a newer version of this program (its tables are at %d, this program knows %d): use that version or a later one", absolute, have, known),
		}
	case have < known:
		return nil, &Error{
			Path:    absolute,
			Message: fmt.Sprintf("the tables of the database %s are at %d, and this program's are at %d: use the version of the program that made it, or start the server once with this one", absolute, have, known),
		}
	}
	list, err := readTables(ctx, s.conn)
	if err != nil {
		return nil, err
	}
	s.tables = byName(list)
	return s, nil
}

// TablesVersion is the version of this program's tables: its last migration.
func TablesVersion() int64 {
	var newest int64
	files, _ := fs.Glob(migrations, "migrations/*.sql") // the pattern is a good one
	for _, name := range files {
		if version, err := goose.NumericComponent(name); err == nil { // Open would not work else
			newest = max(newest, version)
		}
	}
	return newest
}

// Tables lists the tables by name, those of the migrations themselves left out.
func (s *Snapshot) Tables() []Table { return sortedTables(s.tables) }

// Rows hands each row of a table to each, ordered by its key. Where is a column and the value that it has to have; an empty column takes all rows.
func (s *Snapshot) Rows(ctx context.Context, table, column string, value any, each func(Row) error) error {
	t, ok := s.tables[table]
	if !ok {
		return fmt.Errorf("there is no table %q in the database %s", table, s.path)
	}
	statement, args := t.selectAll(), []any(nil)
	if column != "" {
		statement, args = statement+" WHERE "+quoted(column)+" = $1", []any{value}
	}
	rows, err := s.conn.QueryContext(ctx, statement+" ORDER BY "+strings.Join(t.key(), ", "), args...)
	if err != nil {
		return fmt.Errorf("reading the table %s: %w", table, s.dialect.explain(err))
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		row, err := t.scan(rows)
		if err != nil {
			return fmt.Errorf("reading the table %s: %w", table, s.dialect.explain(err))
		}
		if err := each(row); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("reading the table %s: %w", table, s.dialect.explain(err))
	}
	return nil
}

// Distinct lists the values of a text column, sorted.
func (s *Snapshot) Distinct(ctx context.Context, table, column string) (list []string, err error) {
	rows, err := s.conn.QueryContext(ctx, "SELECT DISTINCT "+quoted(column)+" FROM "+quoted(table))
	if err != nil {
		return nil, fmt.Errorf("reading the table %s: %w", table, s.dialect.explain(err))
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var one string
		if err := rows.Scan(&one); err != nil {
			return nil, err
		}
		list = append(list, one)
	}
	slices.Sort(list)
	return list, rows.Err()
}

// Count says how many rows a table has.
func (s *Snapshot) Count(ctx context.Context, table string) (n int64, err error) {
	err = s.conn.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+quoted(table)).Scan(&n)
	return n, s.dialect.explain(err)
}

// Close lets go of the database.
func (s *Snapshot) Close() error {
	var err error
	if s.conn != nil {
		// The transaction has nothing to keep, and may not have begun.
		_, _ = s.conn.ExecContext(context.Background(), "ROLLBACK")
		err = s.conn.Close()
	}
	return errors.Join(err, s.db.Close())
}

// tablesStatement asks the engine which tables there are, a row a column.
const tablesStatement = `SELECT m.name, c.name, c.type, c.pk, c."notnull" FROM sqlite_master AS m, pragma_table_info(m.name) AS c
	WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' AND m.name <> '` + goose.DefaultTablename + `' ORDER BY m.name, c.cid`

// appendTables adds a row of that to a list.
func appendTables(list []Table, row *sql.Rows) ([]Table, error) {
	var (
		name string
		c    Column
		pk   int
		full bool
	)
	if err := row.Scan(&name, &c.Name, &c.Type, &pk, &full); err != nil {
		return nil, err
	}
	c.Key, c.Null = pk > 0, !full
	if len(list) == 0 || list[len(list)-1].Name != name {
		list = append(list, Table{Name: name})
	}
	last := &list[len(list)-1]
	last.Columns = append(last.Columns, c)
	return list, nil
}

// readTables lists the tables.
func readTables(ctx context.Context, conn *sql.Conn) (list []Table, err error) {
	rows, err := conn.QueryContext(ctx, tablesStatement)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if list, err = appendTables(list, rows); err != nil {
			return nil, err
		}
	}
	return list, rows.Err()
}

func byName(list []Table) map[string]Table {
	tables := make(map[string]Table, len(list))
	for _, t := range list {
		tables[t.Name] = t
	}
	return tables
}

func sortedTables(tables map[string]Table) []Table {
	list := make([]Table, 0, len(tables))
	for _, t := range tables {
		list = append(list, t)
	}
	slices.SortFunc(list, func(a, b Table) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// quoted is a name as both engines take it. Names come from the migrations.
func quoted(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// names lists the columns that keep says, as they stand in statements.
func (t *Table) names(keep func(Column) bool) (list []string) {
	for _, c := range t.Columns {
		if keep == nil || keep(c) {
			list = append(list, quoted(c.Name))
		}
	}
	return list
}

func (t *Table) key() []string { return t.names(func(c Column) bool { return c.Key }) }

func (t *Table) selectAll() string {
	return "SELECT " + strings.Join(t.names(nil), ", ") + " FROM " + quoted(t.Name)
}

// scan reads one row of selectAll.
func (t *Table) scan(rows interface{ Scan(...any) error }) (Row, error) {
	into := make([]any, len(t.Columns))
	for i, c := range t.Columns {
		switch c.Type {
		case "TEXT":
			into[i] = new(sql.NullString)
		case "SMALLINT", "BIGINT":
			into[i] = new(sql.NullInt64)
		case "BOOLEAN":
			into[i] = new(sql.NullBool)
		case "BYTEA":
			into[i] = new([]byte)
		default:
			return nil, fmt.Errorf("the column %s of the table %s has the type %s, which the package comment does not allow", c.Name, t.Name, c.Type)
		}
	}
	if err := rows.Scan(into...); err != nil {
		return nil, err
	}
	row := make(Row, len(into))
	for i, c := range t.Columns {
		var value any
		switch v := into[i].(type) {
		case *sql.NullString:
			if v.Valid {
				value = v.String
			}
		case *sql.NullInt64:
			if v.Valid {
				value = v.Int64
			}
		case *sql.NullBool:
			if v.Valid {
				value = v.Bool
			}
		case *[]byte:
			switch {
			case *v != nil:
				value = *v
			case !c.Null:
				value = []byte{} // which the driver does not tell from nothing
			}
		}
		row[c.Name] = value
	}
	return row, nil
}
