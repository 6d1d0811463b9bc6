package metrics

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/chat-operator/chat-operator/xmpp/meter"
)

// TestTable: names are unique and as Prometheus wants them: with a prefix, base units and _total for counters
// (https://prometheus.io/docs/practices/naming/).
func TestTable(t *testing.T) {
	name := regexp.MustCompile(`^chat_operator_[a-z]+(_[a-z]+)*$`)
	seen := map[string]bool{}
	for _, m := range Table() {
		if seen[m.Name] {
			t.Errorf("%s is there twice", m.Name)
		}
		seen[m.Name] = true
		if !name.MatchString(m.Name) || (m.Type == Counter) != strings.HasSuffix(m.Name, "_total") || (m.Type == Histogram) && !strings.HasSuffix(m.Name, "_seconds") {
			t.Errorf("%s is no good name of a %s", m.Name, m.Type)
		}
		if m.Help == "" || !strings.HasSuffix(m.Help, ".") {
			t.Errorf("%s: %q is no sentence", m.Name, m.Help)
		}
		for _, l := range m.Labels {
			if l.Values == "" || !regexp.MustCompile(`^[a-z]+$`).MatchString(l.Name) {
				t.Errorf("%s: the label %q", m.Name, l.Name)
			}
		}
	}
}

// TestSet: what is not in the table, or in it as something else, is a mistake that is told.
func TestSet(t *testing.T) {
	for what, register := range map[string]func(s *Set){
		"no such metric": func(s *Set) { s.Gauge("chat_operator_unknown", func() float64 { return 0 }) },
		"another type":   func(s *Set) { s.Counter(Rooms, &meter.Counter{}) },
		"a label less":   func(s *Set) { s.Count(Declared, func() int { return 0 }) },
		"a label more":   func(s *Set) { s.Count(Rooms, func() int { return 0 }, "x") },
		"twice": func(s *Set) {
			s.Count(Rooms, func() int { return 0 })
			s.Count(Rooms, func() int { return 0 })
		},
	} {
		s := NewSet(prometheus.NewRegistry())
		if register(s); s.Err() == nil {
			t.Error(what)
		}
	}
	nothing := NewSet(nil)
	nothing.Count(Rooms, func() int { return 0 })
	nothing.Requests().Answered("/x", "GET", 200, time.Second)
	if err := nothing.Err(); err != nil {
		t.Error(err)
	}
}

// TestServed: what was counted is served under the names and labels of the table.
func TestServed(t *testing.T) {
	registry := prometheus.NewRegistry()
	s := NewSet(registry)
	h, c := meter.NewHistogram(time.Millisecond, time.Second), &meter.Counter{}
	h.Observe(time.Millisecond)
	h.Observe(time.Minute)
	c.Inc()
	s.Histogram(Delivery, h)
	s.Counter(StoreOperations, c, "read", "success")
	requests := s.Requests()
	requests.Answered("/users/{username}", "GET", 404, 30*time.Millisecond)
	requests.Answered("", "MADE-UP", 404, time.Second)
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetName() + "=" + l.GetValue()
			}
			got[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + m.GetHistogram().GetSampleSum()
			if f.GetName() == Delivery && (m.GetHistogram().GetSampleCount() != 2 || m.GetHistogram().GetBucket()[0].GetCumulativeCount() != 1 || m.GetHistogram().GetBucket()[1].GetCumulativeCount() != 1) {
				t.Errorf("%v", m)
			}
		}
	}
	for name, want := range map[string]float64{
		Delivery: 60.001,
		StoreOperations + " operation=read result=success":            1,
		RESTRequests + " code=404 method=GET route=/users/{username}": 1,
		RESTRequests + " code=404 method=other route=none":            1,
		RESTDuration + " method=GET route=/users/{username}":          0.03,
		RESTDuration + " method=other route=none":                     1,
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v; there are %v", name, got[name], want, got)
		}
	}
}
