// Package monitoring holds the alerts and the dashboard of the chart to what the program measures. `make test-monitoring` also gives them to a real
// Prometheus.
package monitoring
