package controllers

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/chat-operator/chat-operator/xmpp/directory"
)

// metrics are the operator's own; controller-runtime adds those of its queues.
type metrics struct {
	purgesHeld    prometheus.Gauge
	purgesPending prometheus.Gauge
	purged        *prometheus.CounterVec
}

func newMetrics(registry prometheus.Registerer, d *directory.Directory, l *Leadership) (*metrics, error) {
	m := &metrics{
		purgesHeld: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "chat_operator_purges_held",
			Help: "Deleted accounts whose data is due to be purged, but held by the brake until somebody confirms it.",
		}),
		purgesPending: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "chat_operator_purges_pending",
			Help: "Deleted names whose data is kept until accounts.purgeDelay has passed.",
		}),
		purged: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "chat_operator_purged_total",
			Help: "Names whose data was purged after their deletion.",
		}, []string{"kind"}),
	}
	collectors := []prometheus.Collector{m.purgesHeld, m.purgesPending, m.purged,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "chat_operator_leading",
			Help: "1 while this replica reports and purges, else 0.",
		}, func() float64 {
			if l.Leading() {
				return 1
			}
			return 0
		}),
	}
	for _, kind := range directory.Kinds() {
		collectors = append(collectors, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name:        "chat_operator_declared",
			Help:        "Declared things in force, by kind.",
			ConstLabels: prometheus.Labels{"kind": kind.String()},
		}, func() float64 { return float64(d.Counts()[kind]) }))
	}
	for _, c := range collectors {
		if err := registry.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}
