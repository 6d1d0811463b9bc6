package charts

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	corev1 "k8s.io/api/core/v1"
)

// withFiles is a copy of the chart with a file of alerts and a dashboard of this test's own.
func withFiles(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "chat-operator")
	if err := os.CopyFS(dir, os.DirFS(chart)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"alerts.yaml", "dashboard.json"} {
		path := filepath.Join(dir, "files", name)
		if content, given := files[name]; !given {
			if err := os.RemoveAll(path); err != nil {
				t.Fatal(err)
			}
		} else if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestMonitoring(t *testing.T) {
	const all = "domain=chat.example,monitoring.serviceMonitor.enabled=true,monitoring.rules.enabled=true,monitoring.dashboard.enabled=true," +
		"monitoring.serviceMonitor.labels.release=prometheus,monitoring.rules.labels.release=prometheus,monitoring.dashboard.annotations.folder=Chat"
	const alerts = "groups:\n  - name: chat-operator\n    rules:\n      - alert: Gone\n        expr: up{namespace=~\".+\", job=\"x\"} == 0\n        for: 5m\n        annotations:\n" +
		"          summary: '{{ $labels.namespace }} is gone'\n"
	const dashboard = `{"title": "Chat", "panels": [{"legend": "{{ namespace }}"}]}`
	dir := withFiles(t, map[string]string{"alerts.yaml": alerts, "dashboard.json": dashboard})
	out, err := template(dir, "chat", "chat", "--set", all)
	if err != nil {
		t.Fatal(err)
	}
	list := decode(t, out)
	monitor := get[*monitoringv1.ServiceMonitor](t, list, "chat-operator")
	management := get[*corev1.Service](t, list, "chat-operator-management")
	for _, o := range list {
		service, ok := o.(*corev1.Service)
		if !ok {
			continue
		}
		selected := true
		for key, value := range monitor.Spec.Selector.MatchLabels {
			selected = selected && service.Labels[key] == value
		}
		if selected != (service.Name == management.Name) {
			t.Errorf("Service %s is scraped: %v", service.Name, selected)
		}
	}
	if e := monitor.Spec.Endpoints; len(e) != 1 || e[0].Port != "metrics" || e[0].Interval != "30s" || monitor.Labels["release"] != "prometheus" {
		t.Errorf("%+v", monitor)
	}
	rules := get[*monitoringv1.PrometheusRule](t, list, "chat-operator")
	if g := rules.Spec.Groups; len(g) != 1 || g[0].Rules[0].Expr.StrVal != `up{namespace="chat", job="x"} == 0` || g[0].Rules[0].Annotations["summary"] != "{{ $labels.namespace }} is gone" || rules.Labels["release"] != "prometheus" {
		t.Errorf("%+v", rules.Spec)
	}
	config := get[*corev1.ConfigMap](t, list, "chat-operator-dashboard")
	var given, want any
	if err := json.Unmarshal([]byte(config.Data["chat-operator.json"]), &given); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(dashboard), &want); err != nil {
		t.Fatal(err)
	}
	if config.Labels["grafana_dashboard"] != "1" || config.Annotations["folder"] != "Chat" || given.(map[string]any)["title"] != want.(map[string]any)["title"] {
		t.Errorf("%+v", config)
	}

	// What is not asked for is not there.
	if out, err = template(dir, "chat", "chat", "--set", "domain=chat.example"); err != nil {
		t.Fatal(err)
	}
	list = decode(t, out)
	if count[*monitoringv1.ServiceMonitor](list)+count[*monitoringv1.PrometheusRule](list)+count[*corev1.ConfigMap](list) != 0 {
		t.Error("monitoring that nobody asked for")
	}
}

// Rules of several releases do not wake anybody twice: each speaks of the chat server of its own namespace.
func TestRulesAreOfOneNamespace(t *testing.T) {
	list := renderFile(t, chart+"/ci/everything-values.yaml")
	rules, found := find[*monitoringv1.PrometheusRule](t, list, "chat-operator")
	if !found {
		t.Fatal("the chart has no rules")
	}
	for _, group := range rules.Spec.Groups {
		for _, rule := range group.Rules {
			if expr := rule.Expr.StrVal; strings.Count(expr, "{") != strings.Count(expr, `{namespace="chat"`) {
				t.Errorf("%s: %s", rule.Alert, expr)
			}
		}
	}
}
