package monitoring

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/chat-operator/chat-operator/xmpp/metrics"
)

const files = "../../charts/chat-operator/files/"

// alert is one rule of the rule file.
type alert struct {
	Alert       string            `json:"alert"`
	Expr        string            `json:"expr"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

func alerts(t *testing.T) (list []alert) {
	t.Helper()
	var file struct {
		Groups []struct {
			Rules []alert `json:"rules"`
		} `json:"groups"`
	}
	if err := yaml.Unmarshal(read(t, files+"alerts.yaml"), &file); err != nil {
		t.Fatal(err)
	}
	for _, g := range file.Groups {
		list = append(list, g.Rules...)
	}
	if len(list) == 0 {
		t.Fatal("there are no alerts")
	}
	return list
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var ourName = regexp.MustCompile(`chat_operator_[a-z_]+`)

// measures checks that an expression asks for what the program measures.
func measures(t *testing.T, where, expr string) {
	t.Helper()
	table := metrics.Table()
	for _, name := range ourName.FindAllString(expr, -1) {
		if !slices.ContainsFunc(table, func(m metrics.Metric) bool {
			if m.Type != metrics.Histogram {
				return m.Name == name
			}
			return slices.Contains([]string{m.Name + "_bucket", m.Name + "_count", m.Name + "_sum"}, name)
		}) {
			t.Errorf("%s asks for %s, which nobody measures", where, name)
		}
	}
}

// TestAlerts: each says how bad it is, what is wrong, and where to read on; it has that place, and a test.
func TestAlerts(t *testing.T) {
	doc, tests := string(read(t, "../../docs/monitoring.md")), string(read(t, "alerts_test.yaml"))
	selector := regexp.MustCompile(`chat_operator_[a-z_]+(\{[^}]*\})?`)
	for _, a := range alerts(t) {
		measures(t, a.Alert, a.Expr)
		for _, s := range selector.FindAllString(a.Expr, -1) {
			if !strings.Contains(s, `{namespace=~".+"`) {
				t.Errorf("%s: %s does not name a namespace as the others do", a.Alert, s)
			}
		}
		if !slices.Contains([]string{"critical", "warning", "info"}, a.Labels["severity"]) {
			t.Errorf("%s has the severity %q", a.Alert, a.Labels["severity"])
		}
		for _, name := range []string{"summary", "description"} {
			if text := a.Annotations[name]; !strings.HasSuffix(text, ".") || len(text) > 250 {
				t.Errorf("%s: the %s %q is no short sentence", a.Alert, name, text)
			}
		}
		if want := "https://github.com/chat-operator/chat-operator/blob/main/docs/monitoring.md#" + strings.ToLower(a.Alert); a.Annotations["runbook_url"] != want {
			t.Errorf("%s: the runbook is %q, want %q", a.Alert, a.Annotations["runbook_url"], want)
		}
		if !strings.Contains(doc, "\n### "+a.Alert+"\n") {
			t.Errorf("docs/monitoring.md says nothing about %s", a.Alert)
		}
		if !regexp.MustCompile(`alertname: ` + a.Alert + `\n\s+exp_alerts:\n`).MatchString(tests) {
			t.Errorf("alerts_test.yaml does not set %s off", a.Alert)
		}
	}
}

// TestDashboard: panels are told apart, explain themselves, stay within the server that was chosen and do not overlap.
func TestDashboard(t *testing.T) {
	var dashboard struct {
		UID    string `json:"uid"`
		Panels []struct {
			ID      int    `json:"id"`
			Type    string `json:"type"`
			Title   string `json:"title"`
			GridPos struct{ H, W, X, Y int }
			Targets []struct {
				Expr string `json:"expr"`
			} `json:"targets"`
		} `json:"panels"`
	}
	if err := json.Unmarshal(read(t, files+"dashboard.json"), &dashboard); err != nil {
		t.Fatal(err)
	}
	ids, taken := map[int]bool{}, map[[2]int]string{}
	var rows []string
	for _, p := range dashboard.Panels {
		if ids[p.ID] || p.Title == "" {
			t.Errorf("panel %d, %q", p.ID, p.Title)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x > 23 {
					t.Fatalf("%q overlaps %q", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			rows = append(rows, p.Title)
			continue
		}
		if len(p.Targets) == 0 {
			t.Errorf("%q asks for nothing", p.Title)
		}
		for _, target := range p.Targets {
			measures(t, p.Title, target.Expr)
			if strings.Count(target.Expr, "{") != strings.Count(target.Expr, `{namespace=~"$namespace"`) {
				t.Errorf("%q asks for more than one namespace: %s", p.Title, target.Expr)
			}
		}
	}
	if want := []string{"Overview", "Clients", "Delivery", "Rooms", "REST", "Store", "Reconcile"}; !slices.Equal(rows, want) {
		t.Errorf("the rows are %q", rows)
	}
}

// TestReference: every metric is explained where people look it up.
func TestReference(t *testing.T) {
	doc := string(read(t, "../../docs/reference/metrics.md"))
	for _, m := range metrics.Table() {
		if !strings.Contains(doc, "| `"+m.Name+"` | "+string(m.Type)+" |") {
			t.Errorf("docs/reference/metrics.md lacks %s: run 'make generate'", m.Name)
		}
	}
}
