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
	media, body := a.media, a.raw
	if a.entity != nil {
		media, body = c.format.ContentType(), entity.Marshal(c.format, a.entity)
	}
	if tag := c.tag(a); tag != "" {
		encoded := len(body) >= minCompressed && acceptsGzip(c.request.Header.Values("Accept-Encoding"))
		own := tag.of(c.format, encoded)
		h.Set("ETag", own)
		if tag.among(c.request.Header.Values("If-None-Match")) {
			a.status, media, body = http.StatusNotModified, "", nil
		}
	}
	c.send(w, a.status, media, body)
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
	c.send(w, f.status, c.format.ContentType(), entity.Marshal(c.format, entity.Error{Exception: f.exception, Message: f.message, Resource: f.resource}))
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

// send writes an answer of any kind.
func (c *call) send(w http.ResponseWriter, status int, media string, body []byte) {
	h := w.Header()
	c.allowOrigin(h)
	if media != "" {
		h.Set("Content-Type", media)
	}
	if len(body) >= minCompressed {
		// What a cache keeps of this depends on it; of a small body it doesn't.
		h.Add("Vary", "Accept-Encoding")
		if acceptsGzip(c.request.Header.Values("Accept-Encoding")) {
			body = compress(body)
			h.Set("Content-Encoding", "gzip")
		}
	}
	if status != http.StatusNoContent && status != http.StatusNotModified { // RFC 9110 §8.6
		h.Set("Content-Length", strconv.Itoa(len(body)))
	}
	c.status = status
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
