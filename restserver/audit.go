package restserver

import (
	"context"
	"strings"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/store"
)

// auditTimeout bounds how long an answer waits for its audit entry.
const auditTimeout = 5 * time.Second

// maxSummary is what the original's log takes.
const maxSummary = 250

// record writes an entry about something that has happened. summary is in the
// wording of the original's log; details are "name = value" lines without secrets.
func (c *call) record(summary string, details ...string) {
	c.append(store.AuditEntry{Username: c.who.Name, Summary: summary, Details: strings.Join(details, "\n")})
}

// recordFailedAuthentication writes who was claimed to be, if there is such an account. The
// throttle bounds how many such entries an address can cause.
func (c *call) recordFailedAuthentication(claimed string) {
	summary := "failed authentication"
	if claimed != "" {
		summary += " as " + claimed
	}
	c.append(store.AuditEntry{Username: claimed, Summary: summary, Details: detail("method", c.request.Method)})
	c.server.Log.Warn("a REST caller failed to authenticate", "as", claimed, "from", c.addressText())
}

func (c *call) append(e store.AuditEntry) {
	e.Time, e.Node, e.Via, e.Address = time.Now(), c.server.Node, viaREST, c.addressText()
	if r := []rune(e.Summary); len(r) > maxSummary {
		e.Summary = string(r[:maxSummary-1]) + "…"
	}
	// The deed is done, also when its caller has gone away meanwhile.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.ctx), auditTimeout)
	defer cancel()
	if err := c.server.Audit.AppendAudit(ctx, e); err != nil {
		c.server.Log.Error("an audit entry could not be written", "summary", e.Summary, "error", err)
	}
}

// detail is one line of an entry's details; a value must not be able to fake another.
func detail(name, value string) string {
	return name + " = " + strings.NewReplacer("\n", `\n`, "\r", `\r`).Replace(value)
}
