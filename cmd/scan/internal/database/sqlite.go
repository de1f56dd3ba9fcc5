package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/anchore/grype/grype/db/data"
	v6 "github.com/anchore/grype/grype/db/v6"
)

type dataEntry = data.Entry

// tables gives access to a database's file for what the library does not support.
type tables struct {
	db *sql.DB
	// conn is the only connection, so that temporary tables persist.
	conn *sql.Conn
}

// openWritable opens the file in dir for writing. The library then adds the tables and the indices
// that it knows.
func openWritable(dir string) (*tables, error) { return openTables(dir, true) }

func openReadable(dir string) (*tables, error) { return openTables(dir, false) }

func openTables(dir string, writable bool) (*tables, error) {
	g, err := v6.NewLowLevelDB(filepath.Join(dir, v6.VulnerabilityDBFileName), false, writable, false)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	db, err := g.DB()
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	conn, err := db.Conn(context.Background())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the database: %w", err), db.Close())
	}
	return &tables{db, conn}, nil
}

func (t *tables) close() error {
	if err := errors.Join(t.conn.Close(), t.db.Close()); err != nil {
		return fmt.Errorf("close the database: %w", err)
	}
	return nil
}

// exec runs statements, each with its arguments.
func (t *tables) exec(statements ...[]any) error {
	for _, s := range statements {
		text, _ := s[0].(string)
		if _, err := t.conn.ExecContext(context.Background(), text, s[1:]...); err != nil {
			return fmt.Errorf("change the database (%.60s): %w", text, err)
		}
	}
	return nil
}

// query calls each for every row of the result.
func (t *tables) query(ctx context.Context, each func(*sql.Rows) error, text string, args ...any) error {
	rows, err := t.conn.QueryContext(ctx, text, args...)
	if err != nil {
		return fmt.Errorf("read the database (%.60s): %w", text, err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(rows); err != nil {
			return fmt.Errorf("read the database (%.60s): %w", text, err)
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read the database (%.60s): %w", text, err)
	}
	return nil
}

// number returns the single number that a statement selects.
func (t *tables) number(ctx context.Context, text string) (n int64, err error) {
	err = t.query(ctx, func(r *sql.Rows) error { return r.Scan(&n) }, text)
	return n, err
}

// Two counters in the header of an SQLite file: the number of changes, and the number at which the
// file's size was written.
const (
	changesAt = 24
	sizedAt   = 92
)

// settle sets the counters in the header of the closed file in dir, because the library needs a
// varying number of changes to build the same file.
func settle(dir string) error {
	f, err := os.OpenFile(filepath.Join(dir, v6.VulnerabilityDBFileName), os.O_RDWR, 0) //nolint:gosec // in our own directory
	if err != nil {
		return fmt.Errorf("settle the database: %w", err)
	}
	one := []byte{0, 0, 0, 1}
	_, first := f.WriteAt(one, changesAt)
	_, second := f.WriteAt(one, sizedAt)
	if err := errors.Join(first, second, f.Close()); err != nil {
		return fmt.Errorf("settle the database: %w", err)
	}
	return nil
}
