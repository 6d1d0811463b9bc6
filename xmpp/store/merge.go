package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Outcome is what became of a row that was to be merged, or would become.
type Outcome int

// Outcomes of merging a row.
const (
	// Added: there was none of that key.
	Added Outcome = iota
	// Same: it was there already.
	Same
	// Differing: another one of that key was there, and stays.
	Differing
	// Replaced: another one of that key was there.
	Replaced
)

// Merge says how rows come into a table.
type Merge struct {
	Table string
	// Ignore are columns that rows are not compared by, and that stay as they are where a row is replaced.
	Ignore []string
	// Alike says of columns whose values can be written in several ways whether two say the same; those of others are compared as they are.
	Alike map[string]func(a, b any) bool
	// Numbered is a column that a new row gets a number in from the counter of that name.
	Numbered, Counter string
	// Replace has what differs replaced.
	Replace bool
}

// MergeRows adds rows to a table, all or none, and tells the outcome of each. It is for a store that no server works on: what servers have in
// memory does not follow.
func (s *Store) MergeRows(ctx context.Context, m Merge, rows []Row) ([]Outcome, error) {
	t, err := s.table(ctx, m.Table)
	if err != nil {
		return nil, err
	}
	outcomes := make([]Outcome, len(rows))
	err = s.write(ctx, "writing to the table "+m.Table, func(tx *txn) error {
		for i, row := range rows {
			outcome, err := tx.merge(t, &m, row)
			if err != nil {
				return err
			}
			outcomes[i] = outcome
		}
		return nil
	})
	return outcomes, err
}

// Compare tells the outcomes that MergeRows would have, and changes nothing.
func (s *Snapshot) Compare(ctx context.Context, m Merge, rows []Row) ([]Outcome, error) {
	t, ok := s.tables[m.Table]
	if !ok {
		return nil, fmt.Errorf("there is no table %q in the database %s", m.Table, s.path)
	}
	outcomes := make([]Outcome, len(rows))
	statement := t.selectByKey()
	for i, row := range rows {
		there, err := t.scan(s.conn.QueryRowContext(ctx, statement, t.keyOf(row)...))
		switch {
		case errors.Is(err, sql.ErrNoRows):
			outcomes[i] = Added
		case err != nil:
			return nil, fmt.Errorf("reading the table %s: %w", m.Table, s.dialect.explain(err))
		default:
			outcomes[i] = m.compare(&t, there, row)
		}
	}
	return outcomes, nil
}

// table looks a table of the migrations up.
func (s *Store) table(ctx context.Context, name string) (*Table, error) {
	var list []Table
	err := s.query(ctx, "listing the tables", func(rows *sql.Rows) (err error) {
		list, err = appendTables(list, rows)
		return err
	}, tablesStatement)
	if err != nil {
		return nil, err
	}
	for i := range list {
		if list[i].Name == name {
			return &list[i], nil
		}
	}
	return nil, fmt.Errorf("there is no table %q in the database %s", name, s.path)
}

func (t *Table) selectByKey() string {
	var where []string
	for i, name := range t.key() {
		where = append(where, fmt.Sprintf("%s = $%d", name, i+1))
	}
	return t.selectAll() + " WHERE " + strings.Join(where, " AND ")
}

// keyOf lists the values of a row's key.
func (t *Table) keyOf(row Row) (list []any) {
	for _, c := range t.Columns {
		if c.Key {
			list = append(list, row[c.Name])
		}
	}
	return list
}

// compare says what becomes of a row where another one of its key is there.
func (m *Merge) compare(t *Table, there, row Row) Outcome {
	for _, c := range t.Columns {
		if slices.Contains(m.Ignore, c.Name) {
			continue
		}
		a, isBytes := there[c.Name].([]byte)
		b, areBytes := row[c.Name].([]byte)
		if isBytes && areBytes && bytes.Equal(a, b) || !isBytes && !areBytes && there[c.Name] == row[c.Name] {
			continue
		}
		if alike := m.Alike[c.Name]; alike != nil && alike(there[c.Name], row[c.Name]) {
			continue
		}
		if m.Replace {
			return Replaced
		}
		return Differing
	}
	return Same
}

func (t *txn) merge(of *Table, m *Merge, row Row) (Outcome, error) {
	text := of.selectByKey()
	if err := t.statement(text); err != nil {
		return 0, err
	}
	there, err := of.scan(t.w.stmts[text].QueryRowContext(context.Background(), of.keyOf(row)...))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return Added, t.add(of, m, row)
	case err != nil:
		return 0, err
	}
	outcome := m.compare(of, there, row)
	if outcome != Replaced {
		return outcome, nil
	}
	var set, where []string
	var args []any
	bind := func(c Column) string {
		args = append(args, row[c.Name])
		return fmt.Sprintf("%s = $%d", quoted(c.Name), len(args))
	}
	for _, c := range of.Columns {
		switch {
		case c.Key:
			where = append(where, bind(c))
		case !slices.Contains(m.Ignore, c.Name):
			set = append(set, bind(c))
		}
	}
	return outcome, t.exec("UPDATE "+quoted(of.Name)+" SET "+strings.Join(set, ", ")+" WHERE "+strings.Join(where, " AND "), args...)
}

func (t *txn) add(of *Table, m *Merge, row Row) error {
	args := make([]any, 0, len(of.Columns))
	marks := make([]string, 0, len(of.Columns))
	for i, c := range of.Columns {
		value := row[c.Name]
		if c.Name == m.Numbered {
			var number int64
			if err := t.one(`UPDATE counter SET value = value + 1 WHERE name = $1 RETURNING value`, []any{m.Counter}, &number); err != nil {
				return err
			}
			value = number
		}
		args = append(args, value)
		marks = append(marks, fmt.Sprintf("$%d", i+1))
	}
	return t.exec("INSERT INTO "+quoted(of.Name)+" ("+strings.Join(of.names(nil), ", ")+") VALUES ("+strings.Join(marks, ", ")+")", args...)
}

// RoomOwners gives the numbers of the rooms that are remembered, by their names.
func (s *Store) RoomOwners(ctx context.Context) (map[string]int64, error) {
	owners := map[string]int64{}
	err := s.query(ctx, "listing rooms", func(rows *sql.Rows) error {
		var name string
		var owner int64
		err := rows.Scan(&name, &owner)
		owners[name] = owner
		return err
	}, `SELECT name, owner FROM room`)
	return owners, err
}

// MergeAudit adds entries of another audit log. An entry keeps its number where that is free, and gets the next one where it isn't; one that is
// there under whatever number is the same.
func (s *Store) MergeAudit(ctx context.Context, rows []Row) ([]Outcome, error) {
	const table = "audit_log"
	t, err := s.table(ctx, table)
	if err != nil {
		return nil, err
	}
	outcomes := make([]Outcome, len(rows))
	err = s.write(ctx, "writing to the audit log", func(tx *txn) error {
		for i, row := range rows {
			m := Merge{Table: table}
			outcome, err := tx.merge(t, &m, row)
			if err != nil {
				return err
			}
			if outcome == Differing {
				if outcome, err = tx.renumbered(t, row); err != nil {
					return err
				}
			}
			outcomes[i] = outcome
			if err := tx.exec(`UPDATE counter SET value = $1 WHERE name = 'audit_log' AND value < $1`, row["id"]); err != nil {
				return err
			}
		}
		return nil
	})
	return outcomes, err
}

// renumbered adds an entry whose number another one has, unless it is there under a number of its own.
func (t *txn) renumbered(of *Table, row Row) (Outcome, error) {
	var where []string
	var args []any
	for _, c := range of.Columns {
		if !c.Key {
			args = append(args, row[c.Name])
			where = append(where, fmt.Sprintf("%s = $%d", quoted(c.Name), len(args)))
		}
	}
	var n int64
	if err := t.one("SELECT COUNT(*) FROM "+quoted(of.Name)+" WHERE "+strings.Join(where, " AND "), args, &n); err != nil || n > 0 {
		return Same, err
	}
	return Added, t.add(of, &Merge{Numbered: "id", Counter: of.Name}, row)
}
