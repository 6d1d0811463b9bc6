package restserver

import (
	"net/http"
	"strings"
	"time"

	"github.com/chat-operator/chat-operator/restserver/entity"
	"github.com/chat-operator/chat-operator/xmpp/store"
)

const (
	// logPage is how many entries are shown unless the caller says otherwise.
	logPage    = 100
	maxLogPage = 10_000 // what one call puts into memory at most; X-Total-Count says how many there are
	// latest is the last second of year 9999: no entry is later, and what asks for later ones asks for none.
	latest = 253402300799
)

// listAudit is GET /logs/security: the audit log, newest first. A limit of 0 gives no entries, a time of 0 is open, as in the original.
func listAudit(c *call) (answer, error) {
	var f store.AuditFilter
	f.Username, _ = c.query.get("username")
	start, err := natural(c.query, "startTime", 0)
	if err != nil {
		return answer{}, err
	}
	end, err := natural(c.query, "endTime", 0)
	if err != nil {
		return answer{}, err
	}
	if start > 0 {
		f.From = time.Unix(int64(min(start, latest)), 0)
	}
	if end > 0 {
		// Callers see whole seconds: all of the last one belongs to it.
		f.To = time.Unix(int64(min(end, latest)), int64(time.Second-time.Microsecond))
	}
	if f.Offset, err = natural(c.query, "offset", 0); err != nil {
		return answer{}, err
	}
	if f.Limit, err = natural(c.query, "limit", logPage); err != nil {
		return answer{}, err
	}
	f.Limit = min(f.Limit, maxLogPage)
	total, err := c.server.Audit.CountAudit(c.ctx, f)
	if err != nil {
		return answer{}, err
	}
	list := entity.AuditLog{}
	if f.Limit > 0 && f.Offset < total {
		entries, err := c.server.Audit.ListAudit(c.ctx, f)
		if err != nil {
			return answer{}, err
		}
		for i := range entries {
			list = append(list, auditEntity(&entries[i]))
		}
	}
	return answer{status: http.StatusOK, entity: list, isList: true, total: total}, nil
}

// auditEntity shows an entry: how and from where it was done stands among the details.
func auditEntity(e *store.AuditEntry) entity.AuditEntry {
	var details []string
	if e.Details != "" {
		details = append(details, e.Details)
	}
	if e.Via != "" {
		details = append(details, detail("via", e.Via))
	}
	if e.Address != "" {
		details = append(details, detail("address", e.Address))
	}
	return entity.AuditEntry{ID: e.ID, Username: e.Username, Time: e.Time, Summary: e.Summary, Node: e.Node, Details: strings.Join(details, "\n")}
}
