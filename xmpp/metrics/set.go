package metrics

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/chat-operator/chat-operator/xmpp/meter"
)

// Set registers what the table has. Faults are mistakes of the program: they are collected, and Err tells them.
type Set struct {
	registry prometheus.Registerer
	errs     []error
}

// NewSet makes a Set of a registry; nil registers nothing.
func NewSet(registry prometheus.Registerer) *Set { return &Set{registry: registry} }

// Err says what could not be registered.
func (s *Set) Err() error { return errors.Join(s.errs...) }

// Gauge registers a number that is read when somebody asks. The values are those of the metric's labels, in their order.
func (s *Set) Gauge(name string, value func() float64, labels ...string) {
	if o, ok := s.opts(name, Gauge, labels); ok {
		s.add(name, prometheus.NewGaugeFunc(prometheus.GaugeOpts(o), value))
	}
}

// Count is Gauge for a whole number.
func (s *Set) Count(name string, value func() int, labels ...string) {
	s.Gauge(name, func() float64 { return float64(value()) }, labels...)
}

// Counter registers a counter.
func (s *Set) Counter(name string, c *meter.Counter, labels ...string) {
	if o, ok := s.opts(name, Counter, labels); ok {
		s.add(name, prometheus.NewCounterFunc(prometheus.CounterOpts(o), func() float64 { return float64(c.Value()) }))
	}
}

// Histogram registers a histogram.
func (s *Set) Histogram(name string, h *meter.Histogram, labels ...string) {
	if o, ok := s.opts(name, Histogram, labels); ok {
		s.add(name, &histogram{h, prometheus.NewDesc(o.Name, o.Help, nil, o.ConstLabels)})
	}
}

func (s *Set) add(name string, c prometheus.Collector) {
	if s.registry == nil {
		return
	}
	if err := s.registry.Register(c); err != nil {
		s.errs = append(s.errs, fmt.Errorf("the metric %s: %w", name, err))
	}
}

// opts describes a metric as the table does.
func (s *Set) opts(name string, typ Type, values []string) (o prometheus.Opts, ok bool) {
	m, found := lookUp(name)
	if !found || m.Type != typ || len(m.Labels) != len(values) {
		s.errs = append(s.errs, fmt.Errorf("the metric %s is not in the table as a %s with %d labels", name, typ, len(values)))
		return o, false
	}
	o = prometheus.Opts{Name: m.Name, Help: m.Help}
	for i, l := range m.Labels {
		if o.ConstLabels == nil {
			o.ConstLabels = prometheus.Labels{}
		}
		o.ConstLabels[l.Name] = values[i]
	}
	return o, true
}

// histogram makes a metric of what package meter has counted.
type histogram struct {
	h    *meter.Histogram
	desc *prometheus.Desc
}

func (h *histogram) Describe(to chan<- *prometheus.Desc) { to <- h.desc }

func (h *histogram) Collect(to chan<- prometheus.Metric) {
	count, sum, upTo := h.h.Read()
	buckets := make(map[float64]uint64, len(upTo))
	for bound, n := range upTo {
		buckets[bound.Seconds()] = n
	}
	to <- prometheus.MustNewConstHistogram(h.desc, count, sum.Seconds(), buckets)
}

// Requests counts requests of the REST API.
type Requests struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

// Requests registers what is counted of the REST API.
func (s *Set) Requests() *Requests {
	var bounds []float64
	for _, b := range meter.LatencyBounds() {
		bounds = append(bounds, b.Seconds())
	}
	counts, okCounts := s.opts(RESTRequests, Counter, make([]string, 3))
	times, okTimes := s.opts(RESTDuration, Histogram, make([]string, 2))
	if !okCounts || !okTimes {
		return nil
	}
	r := &Requests{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: counts.Name, Help: counts.Help}, []string{"route", "method", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: times.Name, Help: times.Help, Buckets: bounds}, []string{"route", "method"}),
	}
	s.add(RESTRequests, r.requests)
	s.add(RESTDuration, r.duration)
	return r
}

// Answered counts one request. The route is a pattern of the API's table, empty where there is none.
func (r *Requests) Answered(route, method string, code int, took time.Duration) {
	if r == nil {
		return
	}
	if route == "" {
		route = "none"
	}
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
	default:
		method = "other" // the caller's word
	}
	r.requests.WithLabelValues(route, method, strconv.Itoa(code)).Inc()
	r.duration.WithLabelValues(route, method).Observe(took.Seconds())
}
