package xmpp

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestAttackTable: the tests that the table in attack_test.go names are there.
func TestAttackTable(t *testing.T) {
	var all strings.Builder
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		b, err := os.ReadFile(path)
		all.Write(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	table, err := os.ReadFile("attack_test.go")
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z]\w+`)
	rows := 0
	for row := range strings.Lines(string(table)) {
		if !regexp.MustCompile(`^//\t *\d`).MatchString(row) {
			continue
		}
		rows++
		for _, name := range names.FindAllString(row, -1) {
			if !strings.Contains(all.String(), "func "+name) {
				t.Errorf("there is no %s: %s", name, row)
			}
		}
	}
	if rows < 25 {
		t.Errorf("the table has %d rows", rows)
	}
}
