package restserver

import "sync"

// warnings remembers what was warned about, so that a client's habit is one line in
// the log and not one a request.
type warnings struct {
	mu   sync.Mutex
	seen map[warning]struct{}
}

type warning struct{ client, field string }

// maxWarnings bounds the memory; beyond it nothing new is warned about.
const maxWarnings = 1000

func newWarnings() *warnings { return &warnings{seen: map[warning]struct{}{}} }

func (w *warnings) first(client, field string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	key := warning{client, field}
	if _, old := w.seen[key]; old || len(w.seen) >= maxWarnings {
		return false
	}
	w.seen[key] = struct{}{}
	return true
}

// warnUnknown logs the fields of the body that nobody knows, once a client and field.
func (c *call) warnUnknown() {
	if c.body == nil {
		return
	}
	for _, field := range c.body.Unknown() {
		const longest = 64
		if r := []rune(field); len(r) > longest {
			field = string(r[:longest]) + "…"
		}
		client := c.who.Name + " " + c.addressText()
		if c.server.warned.first(client, field) {
			c.server.Log.Warn("a REST client sends a field that is ignored", "field", field, "by", c.who.Name,
				"from", c.addressText(), "path", c.route.path)
		}
	}
}
