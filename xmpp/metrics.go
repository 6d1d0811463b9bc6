package xmpp

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/chat-operator/chat-operator/xmpp/meter"
)

// register offers what the server counts to a registry. The counts themselves are kept where things happen, in package meter: they are read when
// somebody asks.
func (s *Server) register(registry prometheus.Registerer) error {
	collectors := []prometheus.Collector{
		gauge("chat_operator_sessions", "Sessions of clients, those included that wait for their clients to come back.", s.sb.Count),
		gauge("chat_operator_connections", "Connections of clients.", s.connections),
		gauge("chat_operator_connections_unauthenticated", "Connections of clients that have not bound a resource yet.", s.gate.Pending),
		gauge("chat_operator_rooms", "Chat rooms in memory: those that somebody has entered since the start, and is in if they are temporary.",
			func() int { rooms, _ := s.rooms.Counts(); return rooms }),
		gauge("chat_operator_room_occupants", "Occupants of all chat rooms.", func() int { _, occupants := s.rooms.Counts(); return occupants }),
		counter("chat_operator_connections_total", "Connections of clients that were accepted or turned away.", nil, s.meter.Connections()),
		counter("chat_operator_throttled_total", "How often a session was not listened to for a moment because its client sent too fast.", nil, s.meter.Throttled()),
	}
	for _, k := range meter.Kinds() {
		collectors = append(collectors, counter("chat_operator_stanzas_total", "Stanzas that clients sent, by kind.",
			prometheus.Labels{"kind": k.String()}, s.meter.Stanzas(k)))
	}
	for _, r := range meter.Reasons() {
		collectors = append(collectors, counter("chat_operator_refusals_total", "What was refused because of a limit, by the limit.",
			prometheus.Labels{"reason": r.String()}, s.meter.Refusals(r)))
	}
	s.meter.Logins(func(mechanism string, r meter.Result, c *meter.Counter) {
		collectors = append(collectors, counter("chat_operator_logins_total", "Attempts of clients to log in, by mechanism and result.",
			prometheus.Labels{"mechanism": mechanism, "result": r.String()}, c))
	})
	for _, c := range collectors {
		if err := registry.Register(c); err != nil {
			return err
		}
	}
	return nil
}

func gauge(name, help string, value func() int) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(value()) })
}

func counter(name, help string, labels prometheus.Labels, c *meter.Counter) prometheus.Collector {
	return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: labels},
		func() float64 { return float64(c.Value()) })
}
