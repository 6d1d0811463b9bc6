package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"mellium.im/sasl"

	"github.com/chat-operator/chat-operator/hack/internal/localkube"
	"github.com/chat-operator/chat-operator/hack/internal/supervise"
	"github.com/chat-operator/chat-operator/xmpp/metrics"
)

var _ = Describe("What the program measures", Ordered, ContinueOnFailure, func() {
	var (
		s        *server
		at       string // of /metrics
		traffic  func()
		measured = func() string {
			GinkgoHelper()
			return fetch("http://" + at + "/metrics")
		}
	)
	const lobby = "lobby@conference." + domain
	BeforeAll(func() {
		ports, err := localkube.FreePorts(1)
		Expect(err).NotTo(HaveOccurred())
		at = fmt.Sprintf("127.0.0.1:%d", ports[0])
		s = prepareServer("monitoring")
		s.metrics = at
		s.start()
		DeferCleanup(func() { s.stop() })
		for _, name := range []string{"mira", "tobias", "tove"} {
			s.applyUser(name, name+"'s word")
		}
		s.apply(`
apiVersion: chat-operator.io/v1alpha1
kind: ChatRoom
metadata: {name: lobby}
spec: {archived: true}
---
apiVersion: chat-operator.io/v1alpha1
kind: ChatGroup
metadata: {name: crew}
spec: {members: [mira]}
---
apiVersion: chat-operator.io/v1alpha1
kind: SystemProperty
metadata: {name: greeting}
spec: {key: greeting, value: hello}
`)
		s.kubectl("wait", "--for=condition=Ready", "--timeout=60s", "--all", "chatusers,chatrooms,chatgroups,systemproperties")
		mira, tobias := s.login("mira", "mira's word"), s.login("tobias", "tobias's word")
		mira.enter(lobby, "Mira")
		tobias.enter(lobby, "Tobias")
		round := 0
		traffic = func() {
			GinkgoHelper()
			round++
			text := fmt.Sprintf("round %d", round)
			mira.say("tobias", text)
			tobias.hear(text)
			mira.say("tove", text)
			mira.say("nobody", text)
			mira.raw(fmt.Sprintf(`<message to="%s" type="groupchat"><body>%s in the lobby</body></message>`, lobby, text))
			tobias.hear(text + " in the lobby")
			_, err := s.tryLogin("mira", "another word", sasl.Plain)
			Expect(err).To(HaveOccurred())
			c, err := s.connect("tobias", "tobias's word", sasl.ScramSha256Plus, true)
			Expect(err).NotTo(HaveOccurred())
			c.close()
			Expect(s.call("GET", "/users", nil)).To(HaveField("Status", 200))
			Expect(s.call("GET", "/users/nobody", nil)).To(HaveField("Status", 404))
			s.kubectl("annotate", "chatgroup", "crew", "--overwrite", "round="+text)
			s.kubectl("patch", "chatgroup", "crew", "--type=merge", fmt.Sprintf(`--patch={"spec":{"description":%q}}`, text))
		}
		traffic()
	})

	It("is what the table of metrics says, all of it and no more", func() {
		labels := map[string][]string{}
		types := map[string]string{}
		line := regexp.MustCompile(`^(chat_operator_[a-z_]+)(?:\{(.*)\})? `)
		label := regexp.MustCompile(`([a-z_]+)="(?:[^"\\]|\\.)*"`)
		text := measured()
		for l := range strings.Lines(text) {
			if f := strings.Fields(l); len(f) == 4 && f[1] == "TYPE" && strings.HasPrefix(f[2], "chat_operator_") {
				types[f[2]] = f[3]
			}
			m := line.FindStringSubmatch(l)
			if m == nil {
				continue
			}
			var names []string
			for _, l := range label.FindAllStringSubmatch(m[2], -1) {
				if l[1] != "le" {
					names = append(names, l[1])
				}
			}
			slices.Sort(names)
			labels[m[1]] = names
		}
		for _, m := range metrics.Table() {
			Expect(types).To(HaveKeyWithValue(m.Name, string(m.Type)))
			delete(types, m.Name)
			name := m.Name
			if m.Type == metrics.Histogram {
				name += "_count"
			}
			want := []string(nil)
			for _, l := range m.Labels {
				want = append(want, l.Name)
			}
			slices.Sort(want)
			Expect(labels).To(HaveKeyWithValue(name, want), m.Name)
		}
		Expect(types).To(BeEmpty(), "metrics that are not in the table")

		By("naming nobody")
		for _, private := range []string{"mira", "tobias", "tove", "nobody", "lobby", "crew", domain, "word", s.restSecret()} {
			Expect(text).NotTo(MatchRegexp(`(?m)^[^#].*` + regexp.QuoteMeta(private)))
		}
	})

	It("counts what happens", func() {
		value := func(series string) float64 {
			GinkgoHelper()
			for l := range strings.Lines(measured()) {
				if rest, ok := strings.CutPrefix(l, series+" "); ok {
					n, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
					Expect(err).NotTo(HaveOccurred())
					return n
				}
			}
			return math.NaN()
		}
		rise := map[string]float64{
			`chat_operator_stanzas_total{kind="message",result="delivered"}`:                                   1,
			`chat_operator_stanzas_total{kind="message",result="stored"}`:                                      1,
			`chat_operator_stanzas_total{kind="message",result="refused"}`:                                     1,
			`chat_operator_stanzas_total{kind="message",result="handled"}`:                                     1,
			`chat_operator_archived_messages_total`:                                                            1,
			`chat_operator_logins_total{mechanism="PLAIN",result="refused"}`:                                   1,
			`chat_operator_logins_total{mechanism="SCRAM-SHA-256-PLUS",result="success"}`:                      1,
			`chat_operator_rest_requests_total{code="404",method="GET",route="` + base + `/users/{username}"}`: 1,
			`chat_operator_reconcile_lag_seconds_count{kind="group"}`:                                          1,
		}
		before := map[string]float64{}
		for series := range rise {
			before[series] = value(series)
		}
		traffic()
		for series, by := range rise {
			Eventually(func() float64 { return value(series) - before[series] }, limit).Should(BeEquivalentTo(by), series)
		}
		for series, want := range map[string]float64{
			`chat_operator_ready`: 1, `chat_operator_leading`: 1, `chat_operator_declared{kind="user"}`: 3, `chat_operator_declared{kind="room"}`: 1,
			`chat_operator_rooms`: 1, `chat_operator_room_occupants`: 2, `chat_operator_reconcile_pending{kind="user"}`: 0,
		} {
			Eventually(func() float64 { return value(series) }, limit).Should(BeEquivalentTo(want), series)
		}
	})

	It("fills every panel of the dashboard, and lets Prometheus judge every alert", func() {
		assets := os.Getenv("PROMETHEUS_ASSETS")
		if assets == "" {
			Skip("`make test-monitoring` builds Prometheus and names its folder in PROMETHEUS_ASSETS")
		}
		api := startPrometheus(assets, at)
		var dashboard struct {
			Panels []struct {
				Title   string `json:"title"`
				Targets []struct {
					Expr string `json:"expr"`
				} `json:"targets"`
			} `json:"panels"`
		}
		b, err := os.ReadFile(filepath.Join(root, "charts", "chat-operator", "files", "dashboard.json"))
		Expect(err).NotTo(HaveOccurred())
		Expect(json.Unmarshal(b, &dashboard)).To(Succeed())
		Eventually(func(g Gomega) {
			traffic()
			for _, p := range dashboard.Panels {
				for _, t := range p.Targets {
					expr := strings.NewReplacer("$namespace", "monitoring", "$__rate_interval", "15s").Replace(t.Expr)
					g.Expect(evaluate(api, expr)).To(ContainElement(Satisfy(finite)), "%s: %s", p.Title, expr)
				}
			}
		}, startLimit, time.Second).Should(Succeed())

		var rules struct {
			Data struct {
				Groups []struct {
					Rules []struct{ Name, Health, LastError string }
				}
			}
		}
		Eventually(func(g Gomega) {
			g.Expect(json.Unmarshal([]byte(fetch(api+"/api/v1/rules")), &rules)).To(Succeed())
			g.Expect(rules.Data.Groups).NotTo(BeEmpty())
			for _, r := range rules.Data.Groups[0].Rules {
				g.Expect(r).To(And(HaveField("Health", "ok"), HaveField("LastError", "")))
			}
		}, startLimit, time.Second).Should(Succeed())
	})
})

// base is where the REST API is.
const base = "/plugins/restapi/v1"

// fetch gives what is at an address.
func fetch(address string) string {
	GinkgoHelper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	Expect(err).NotTo(HaveOccurred())
	resp, err := http.DefaultClient.Do(req)
	Expect(err).NotTo(HaveOccurred())
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	Expect(err).NotTo(HaveOccurred())
	Expect(resp.StatusCode).To(Equal(http.StatusOK), string(b))
	return string(b)
}

// startPrometheus starts a Prometheus that scrapes one program every second and has the chart's alerts. It returns where its API is.
func startPrometheus(assets, target string) string {
	GinkgoHelper()
	ports, err := localkube.FreePorts(1)
	Expect(err).NotTo(HaveOccurred())
	address := fmt.Sprintf("127.0.0.1:%d", ports[0])
	config := filepath.Join(work, "prometheus.yaml")
	Expect(os.WriteFile(config, fmt.Appendf(nil, `
global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}
rule_files: [%s]
scrape_configs:
  - job_name: chat
    static_configs:
      - targets: [%q]
        labels: {namespace: monitoring, pod: chat-operator-0}
`, filepath.Join(root, "charts", "chat-operator", "files", "alerts.yaml"), target), 0o600)).To(Succeed())
	p, err := group.Start(supervise.Spec{
		Name: "Prometheus", Path: filepath.Join(assets, "prometheus"), Log: filepath.Join(work, "prometheus.log"), Grace: 20 * time.Second,
		Args: []string{"--config.file=" + config, "--storage.tsdb.path=" + filepath.Join(work, "prometheus"), "--web.listen-address=" + address},
	})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(p.Stop)
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	Expect(p.WaitReady(ctx, func(ctx context.Context) error { return get(ctx, "http://"+address+"/-/ready") })).To(Succeed())
	return "http://" + address
}

// evaluate gives the values of all series of an expression.
func evaluate(api, expr string) (values []float64) {
	GinkgoHelper()
	var result struct {
		Data struct {
			Result []struct {
				Value [2]any `json:"value"`
			} `json:"result"`
		} `json:"data"`
	}
	Expect(json.Unmarshal([]byte(fetch(api+"/api/v1/query?query="+url.QueryEscape(expr))), &result)).To(Succeed())
	for _, r := range result.Data.Result {
		n, err := strconv.ParseFloat(fmt.Sprint(r.Value[1]), 64)
		Expect(err).NotTo(HaveOccurred())
		values = append(values, n)
	}
	return values
}

func finite(n float64) bool { return !math.IsNaN(n) && !math.IsInf(n, 0) }
