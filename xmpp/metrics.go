package xmpp

import (
	"github.com/chat-operator/chat-operator/xmpp/meter"
	"github.com/chat-operator/chat-operator/xmpp/metrics"
	"github.com/chat-operator/chat-operator/xmpp/stream"
)

// register offers what the server counts. The counts themselves are kept where things happen, in package meter: they are read when somebody asks.
func (s *Server) register(set *metrics.Set) error {
	set.Count(metrics.Sessions, func() int { return max(0, s.sb.Count()-s.sb.Hibernating()) }, "connected")
	set.Count(metrics.Sessions, s.sb.Hibernating, "waiting")
	for mode, transport := range map[stream.Mode]string{stream.StartTLS: "starttls", stream.DirectTLS: "direct-tls"} {
		set.Count(metrics.Connections, func() int { return s.connections(mode) }, transport)
	}
	set.Count(metrics.ConnectionsUnauthenticated, s.gate.Pending)
	set.Counter(metrics.ConnectionsTotal, s.meter.Connections())
	set.Counter(metrics.Throttled, s.meter.Throttled())
	set.Count(metrics.TracedUsers, s.sb.Followed)
	set.Count(metrics.Rooms, func() int { rooms, _ := s.rooms.Counts(); return rooms })
	set.Count(metrics.RoomOccupants, func() int { _, occupants := s.rooms.Counts(); return occupants })
	for _, k := range meter.Kinds() {
		for _, f := range meter.Fates() {
			if k == meter.Message || f == meter.Handled || f == meter.Rejected {
				set.Counter(metrics.Stanzas, s.meter.Stanzas(k, f), k.String(), f.String())
			}
		}
		set.Histogram(metrics.Handling, s.meter.Handling(k), k.String())
	}
	set.Histogram(metrics.Delivery, s.meter.Delivery())
	for _, r := range meter.Reasons() {
		set.Counter(metrics.Refusals, s.meter.Refusals(r), r.String())
	}
	s.meter.Logins(func(mechanism string, r meter.Result, c *meter.Counter) {
		set.Counter(metrics.Logins, c, mechanism, r.String())
	})
	return set.Err()
}
