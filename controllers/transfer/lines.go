package transfer

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/chat-operator/chat-operator/xmpp/store"
)

// Rows as lines of JSON: an object a row, its keys the names of the columns. Text and XML are strings; bytes that are no text are
// an object with the key base64, so that nothing changes on the way.

// maxLine bounds one line: many times the largest stanza.
const maxLine = 16 << 20

type binary struct {
	Base64 []byte `json:"base64"`
}

// appendLine adds a row.
func appendLine(dst []byte, row store.Row) ([]byte, error) {
	values := make(map[string]any, len(row))
	for name, value := range row {
		if b, ok := value.([]byte); ok {
			if utf8.Valid(b) {
				value = string(b)
			} else {
				value = binary{b}
			}
		}
		values[name] = value
	}
	var buf bytes.Buffer
	encoder := json.NewEncoder(&buf)
	encoder.SetEscapeHTML(false) // XML stays readable
	if err := encoder.Encode(values); err != nil {
		return dst, err
	}
	return append(dst, buf.Bytes()...), nil
}

// parseLine reads a row of which the columns are known. A column that the line lacks is an error, as is one that the table lacks: the versions
// of tables are the same, or the row would mean something else.
func parseLine(line []byte, columns []store.Column) (store.Row, error) {
	var values map[string]json.RawMessage
	if err := json.Unmarshal(line, &values); err != nil {
		return nil, fmt.Errorf("not a line of JSON: %w", err)
	}
	row := make(store.Row, len(columns))
	for _, c := range columns {
		raw, ok := values[c.Name]
		if !ok {
			return nil, fmt.Errorf("it lacks the key %q", c.Name)
		}
		delete(values, c.Name)
		value, err := parseValue(raw, c.Type)
		if err != nil {
			return nil, fmt.Errorf("the key %q: %w", c.Name, err)
		}
		if value == nil && !c.Null {
			return nil, fmt.Errorf("the key %q has to have a value", c.Name)
		}
		row[c.Name] = value
	}
	for name := range values {
		return nil, fmt.Errorf("the key %q is not known", name)
	}
	return row, nil
}

func parseValue(raw json.RawMessage, kind string) (any, error) {
	if string(raw) == "null" {
		return nil, nil //nolint:nilnil // null is a value
	}
	switch kind {
	case "TEXT":
		var v string
		err := json.Unmarshal(raw, &v)
		return v, err
	case "SMALLINT", "BIGINT":
		var v int64
		err := json.Unmarshal(raw, &v)
		return v, err
	case "BOOLEAN":
		var v bool
		err := json.Unmarshal(raw, &v)
		return v, err
	case "BYTEA":
		if len(raw) > 0 && raw[0] == '{' {
			var v binary
			err := json.Unmarshal(raw, &v)
			if v.Base64 == nil {
				v.Base64 = []byte{}
			}
			return v.Base64, err
		}
		var v string
		err := json.Unmarshal(raw, &v)
		return []byte(v), err
	}
	return nil, errors.New("its type is not known")
}

// eachLine hands out the lines of a file, without their ends; what they hold is valid until the next.
func eachLine(r io.Reader, each func(number int, line []byte) error) error {
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, maxLine)
	number := 0
	for scanner.Scan() {
		number++
		if len(scanner.Bytes()) == 0 {
			continue
		}
		if err := each(number, scanner.Bytes()); err != nil {
			return err
		}
	}
	if errors.Is(scanner.Err(), bufio.ErrTooLong) {
		return fmt.Errorf("line %d is longer than %d bytes", number+1, maxLine)
	}
	return scanner.Err()
}
