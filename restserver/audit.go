package restserver

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/audit"
	"github.com/chat-operator/chat-operator/xmpp/store"
)

// auditTimeout bounds how long an answer waits for its audit entry.
const auditTimeout = 5 * time.Second

// deed is something that has happened: a summary in the wording of the original's log, and
// "name = value" lines without secrets.
type deed struct {
	summary string
	details []string
}

// record writes an entry about something that has happened.
func (c *call) record(summary string, details ...string) { c.recordAll([]deed{{summary, details}}) }

// recordEnd writes an entry about something by which a resource has gone, of that UID.
func (c *call) recordEnd(uid, summary string, details ...string) {
	c.append(store.AuditEntry{Username: c.who.Name, Summary: summary, Details: strings.Join(details, "\n"), Ended: uid})
}

// recordAll writes an entry a deed, in one go.
func (c *call) recordAll(deeds []deed) {
	entries := make([]store.AuditEntry, len(deeds))
	for i, d := range deeds {
		entries[i] = store.AuditEntry{Username: c.who.Name, Summary: d.summary, Details: strings.Join(d.details, "\n")}
	}
	c.append(entries...)
}

// recordFailedAuthentication writes who was claimed to be, if there is such an account.
func (c *call) recordFailedAuthentication(claimed string) {
	missed, ok := c.server.failures.Admit(time.Now())
	if !ok {
		return
	}
	summary, details := "failed authentication", detail("method", c.request.Method)
	if claimed != "" {
		summary += " as " + claimed
	}
	if missed > 0 {
		details += "\n" + detail("further failures before", strconv.Itoa(missed))
	}
	c.append(store.AuditEntry{Username: claimed, Summary: summary, Details: details})
	c.server.Log.Warn("a REST caller failed to authenticate", "as", claimed, "from", c.addressText(), "furtherBefore", missed)
}

// recordRefusal writes that somebody who is known wanted to do what they may not.
func (c *call) recordRefusal(why string) {
	missed, ok := c.server.failures.Admit(time.Now())
	if !ok {
		return
	}
	details := detail("method", c.request.Method) + "\n" + detail("path", c.request.URL.Path) + "\n" + detail("reason", why)
	if missed > 0 {
		details += "\n" + detail("further failures before", strconv.Itoa(missed))
	}
	c.append(store.AuditEntry{Username: c.who.Name, Summary: "refused call", Details: details})
	c.server.Log.Warn("a REST caller may not do what was asked for", "by", c.who.Name, "from", c.addressText(), "method", c.request.Method, "path", c.request.URL.Path, "reason", why)
}

func (c *call) append(entries ...store.AuditEntry) {
	now := time.Now()
	for i := range entries {
		e := &entries[i]
		e.Time, e.Node, e.Via, e.Address = now, c.server.Node, viaREST, c.addressText()
	}
	// The deed is done, also when its caller has gone away meanwhile.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.ctx), auditTimeout)
	defer cancel()
	if err := c.server.Audit.AppendAudit(ctx, entries...); err != nil {
		for i := range entries {
			c.server.Log.Error("an audit entry could not be written", "summary", entries[i].Summary, "by", entries[i].Username,
				"from", entries[i].Address, "error", err)
		}
	}
}

// detail is one line of an entry's details.
func detail(name, value string) string { return audit.Detail(name, value) }
