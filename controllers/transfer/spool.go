package transfer

import (
	"bytes"
	"fmt"
	"io"
	"os"
)

// spoolBytes is how much of a file is kept in memory before it goes to disk.
const spoolBytes = 1 << 20

// spool holds a file until its size is known: in memory while it is small, else in a file of the folder for temporary ones. That has no name,
// and so goes with the process, whichever way it ends: there are credentials in it.
type spool struct {
	buf  bytes.Buffer
	file *os.File
	// spilled is how much of the content is in the file; the rest, which follows it, is in buf.
	spilled int64
}

// begin forgets what was held before.
func (s *spool) begin() {
	s.buf.Reset()
	s.spilled = 0
}

func (s *spool) Write(p []byte) (int, error) {
	s.buf.Write(p)
	if s.buf.Len() < spoolBytes {
		return len(p), nil
	}
	if err := s.spill(); err != nil {
		return 0, fmt.Errorf("there is no place for what is written: set TMPDIR to a folder with room: %w", err)
	}
	return len(p), nil
}

func (s *spool) spill() error {
	if s.file == nil {
		file, err := os.CreateTemp("", "chat-operator-export-*")
		if err != nil {
			return err
		}
		s.file = file
		if err := os.Remove(file.Name()); err != nil {
			return err
		}
	}
	n, err := s.file.WriteAt(s.buf.Bytes(), s.spilled)
	s.spilled += int64(n)
	s.buf.Reset()
	return err
}

// read gives what was written, and its size.
func (s *spool) read() (int64, io.Reader) {
	size := s.spilled + int64(s.buf.Len())
	if s.spilled == 0 {
		return size, &s.buf
	}
	return size, io.MultiReader(io.NewSectionReader(s.file, 0, s.spilled), &s.buf)
}

func (s *spool) close() error {
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	s.file = nil
	return err
}
