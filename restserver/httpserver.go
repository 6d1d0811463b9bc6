package restserver

import (
	"log/slog"
	"net/http"
	"time"
)

// Bounds of a connection. A caller that is slower is cut off. The write limit runs from the end of the
// request's header, so that it covers a slow body and the longest change before the answer.
const (
	headerTimeout  = 10 * time.Second
	readTimeout    = 30 * time.Second
	writeTimeout   = readTimeout + changeTimeout + auditTimeout + 10*time.Second
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 32 << 10
)

// NewHTTPServer makes the server that a handler should be served by. TLS is the caller's choice:
// ListenAndServe, or ListenAndServeTLS after setting TLSConfig.
func NewHTTPServer(addr string, h http.Handler, log *slog.Logger) *http.Server {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &http.Server{
		Addr:              addr,
		Handler:           h,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}
