package store

import (
	"context"
	"database/sql"
)

// Beat returns once the writer and a reader have answered. What they answer does not matter: one that fails is not one that hangs.
func (s *Store) Beat(ctx context.Context) {
	_ = s.writer.do(ctx, func(*txn) error { return nil })
	_ = s.reader.do(ctx, func(*sql.Rows) error { return nil }, "SELECT 1", nil)
}
