package restserver

import (
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/chat-operator/chat-operator/restserver/entity"
	"github.com/chat-operator/chat-operator/xmpp/directory"
)

// succeed writes what a handler answered.
func (c *call) succeed(w http.ResponseWriter, a answer) {
	h := w.Header()
	if a.isList {
		h.Set("X-Total-Count", strconv.Itoa(a.total))
	}
	if a.allow != "" {
		h.Set("Allow", a.allow)
	}
	if a.policy != "" {
		h.Set("Content-Security-Policy", a.policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
	}
	if a.raw != nil {
		c.send(w, a.status, a.media, a.raw)
		return
	}
	c.write(w, a.status, a.entity)
}

// fail writes the error entity.
func (c *call) fail(w http.ResponseWriter, f *failure) {
	h := w.Header()
	if f.allow != "" {
		h.Set("Allow", f.allow)
	}
	if f.retryAfter > 0 {
		// Whole seconds, rounded up: a caller that obeys must not come too early.
		h.Set("Retry-After", strconv.Itoa(int((f.retryAfter+time.Second-1)/time.Second)))
	}
	c.logCause(f)
	c.write(w, f.status, entity.Error{Exception: f.exception, Message: f.message, Resource: f.resource})
}

// logCause tells the log what the caller isn't told.
func (c *call) logCause(f *failure) {
	if f.cause == nil || f.status < http.StatusInternalServerError {
		return
	}
	level := slog.LevelWarn
	if f.status == http.StatusInternalServerError {
		level = slog.LevelError
	}
	c.server.Log.Log(c.ctx, level, "a REST call failed", "method", c.request.Method, "path", c.request.URL.Path,
		"status", f.status, "error", f.cause.Error())
}

func (c *call) write(w http.ResponseWriter, status int, e entity.Entity) {
	if e == nil {
		c.send(w, status, "", nil)
		return
	}
	c.send(w, status, c.format.ContentType(), entity.Marshal(c.format, e))
}

// send writes an answer of any kind.
func (c *call) send(w http.ResponseWriter, status int, media string, body []byte) {
	h := w.Header()
	// Constant, whatever the Origin is: what browser clients of the original rely on.
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Allow-Headers", "origin, content-type, accept, authorization")
	h.Set("Access-Control-Allow-Credentials", "true")
	h.Set("Access-Control-Allow-Methods", "GET, POST, PUT, DELETE, OPTIONS, HEAD")
	if media != "" {
		h.Set("Content-Type", media)
	}
	if status != http.StatusNoContent { // RFC 9110 §8.6
		h.Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(status)
	if c.request.Method != http.MethodHead && len(body) > 0 {
		// The caller is gone when this fails: nobody is left to tell.
		_, _ = w.Write(body)
	}
	if c.server.Directory.Bool(directory.KeyRESTServiceLogging) {
		c.server.Log.Info("REST call", "method", c.request.Method, "path", c.request.URL.Path, "status", status,
			"by", c.who.Name, "from", c.addressText())
	}
}
