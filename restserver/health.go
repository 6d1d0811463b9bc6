package restserver

import (
	"net/http"
	"strings"

	"github.com/chat-operator/chat-operator/xmpp/stream"
)

// live is GET /system/liveness and what is below it.
func live(c *call) (answer, error) { return c.healthy(c.server.Health.Live(c.ctx)) }

// ready is GET /system/readiness and its server check.
func ready(c *call) (answer, error) { return c.healthy(c.server.Health.Ready(c.ctx)) }

// passed is a check that doesn't apply here.
func passed(*call) (answer, error) { return done() }

func (c *call) healthy(err error) (answer, error) {
	if err == nil {
		return done()
	}
	return answer{}, problem(http.StatusServiceUnavailable, serviceUnavailable, err.Error(), c.request.URL.Path)
}

// readyForConnections is GET /system/readiness/connections, of all listeners or of one type.
func readyForConnections(c *call) (answer, error) {
	kind, _ := c.query.get("connectionType")
	plain, encrypted := true, true
	switch kind {
	case "", "SOCKET_C2S":
		// Without a type encrypted is ignored; with one, its absence means both.
		if value, given := c.query.get("encrypted"); given && kind != "" {
			encrypted = strings.EqualFold(value, "true")
			plain = !encrypted
		}
	case "SOCKET_S2S", "BOSH_C2S", "WEBADMIN", "COMPONENT", "CONNECTION_MANAGER":
		// What isn't there, or is off, is ready; the administration is what answers here.
		return done()
	default:
		return answer{}, badRequest("connectionType has to be one of SOCKET_S2S, SOCKET_C2S, BOSH_C2S, WEBADMIN, COMPONENT, CONNECTION_MANAGER", kind)
	}
	if plain {
		if err := c.server.Listeners.Accepting(stream.StartTLS); err != nil {
			return c.healthy(err)
		}
	}
	if encrypted {
		return c.healthy(c.server.Listeners.Accepting(stream.DirectTLS))
	}
	return done()
}
