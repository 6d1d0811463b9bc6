package xmpp

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/metrics"
	"github.com/chat-operator/chat-operator/xmpp/stream"
)

// TestLimitsFollowProperties while the server runs; what is announced is what holds (XEP-0478).
func TestLimitsFollowProperties(t *testing.T) {
	h := newHost(t, "mira")
	announced := func() string {
		c := entrance{mode: stream.DirectTLS, tls: true}.connect(t, h)
		defer c.tcp.Close()
		c.send(streamHeader)
		before := c.expect("</stream:features>")
		c.send(plain("mira", passwordOf("mira")))
		c.expect("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
		c.send(streamHeader)
		after := c.expect("</stream:features>")
		limits := func(s string) string {
			_, s, _ = strings.Cut(s, "<limits xmlns='urn:xmpp:stream-limits:0'>")
			s, _, _ = strings.Cut(s, "</limits>")
			return s
		}
		return limits(before) + " " + limits(after)
	}
	if got := announced(); got != "<max-bytes>16384</max-bytes> <max-bytes>262144</max-bytes>" {
		t.Errorf("by default: %s", got)
	}
	h.set(directory.KeyStanzaBytesBeforeLogin, "20000")
	h.set(directory.KeyStanzaBytes, "30000")
	h.set(directory.KeyIdleTime, "45s")
	if got := announced(); got != "<max-bytes>20000</max-bytes> <max-bytes>30000</max-bytes><idle-seconds>45</idle-seconds>" {
		t.Errorf("after a change: %s", got)
	}
	c := h.user(t, "mira")
	c.send("<message><body>" + strings.Repeat("x", 30000) + "</body></message>")
	c.dies("more than announced", "policy-violation")
}

// TestMetrics: what happens can be read off.
func TestMetrics(t *testing.T) {
	h := newHost(t, "mira", "tove")
	h.stop()
	h.start()
	registry := prometheus.NewRegistry()
	if err := h.server.register(metrics.NewSet(registry)); err != nil {
		t.Fatal(err)
	}
	read := func() map[string]float64 {
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		values := map[string]float64{}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				name := strings.TrimPrefix(f.GetName(), "chat_operator_")
				for _, l := range m.GetLabel() {
					name += " " + l.GetValue()
				}
				values[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
		return values
	}
	mira := h.user(t, "mira")
	mira.send("<presence/><message to='mira@chat.example/main' type='headline'/><message to='mira@chat.example/main' type='headline'/>" +
		"<message to='tove@chat.example'><body>For later</body></message><message to='nobody@chat.example' type='chat'><body>In vain</body></message>" +
		"<iq type='get' id='unknown'><query xmlns='urn:example:unknown'/></iq>")
	mira.answered()
	stranger := entrance{mode: stream.StartTLS}.open(t, h)
	wrong := entrance{mode: stream.DirectTLS, tls: true}.open(t, h)
	wrong.send(plain("mira", "wrong"))
	wrong.fails("a wrong password", "not-authorized")
	wrong.send("<" + strings.Repeat("a", 20000))
	wrong.dies("a long name", "policy-violation")
	eventually(t, "the connection is gone", func() bool { return read()["connections direct-tls"] == 1 && read()["connections starttls"] == 1 })
	values := read()
	for name, want := range map[string]float64{
		"sessions connected": 1, "sessions waiting": 0, "connections direct-tls": 1, "connections starttls": 1, "connections_unauthenticated": 1, "connections_total": 3,
		"logins_total PLAIN success": 1, "logins_total PLAIN refused": 1, "logins_total SCRAM-SHA-256-PLUS success": 0,
		"stanzas_total message delivered": 2, "stanzas_total message stored": 1, "stanzas_total message refused": 1, "stanzas_total message handled": 0,
		"stanzas_total presence handled": 1, "stanzas_total iq handled": 1, "stanzas_total iq refused": 1,
		"stanza_handling_duration_seconds message": 4, "stanza_handling_duration_seconds iq": 2,
		"refusals_total stanza-shape": 1, "refusals_total flood": 0,
	} {
		if got, there := values[name]; got != want || !there {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	stranger.tcp.Close()
	// Two servers do not share a registry, and are told so.
	if _, err := New(h.config(), Deps{Directory: h.dir, Proposer: h.local, Roster: h.store, Metrics: metrics.NewSet(registry)}); err == nil || !strings.Contains(err.Error(), "metrics") {
		t.Errorf("%v", err)
	}
}
