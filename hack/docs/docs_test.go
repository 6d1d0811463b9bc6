// Package docs holds the pages of documentation to the repository: their links lead somewhere, and what they name is there. Commands that need
// no more than a server on this machine are run by hack/e2e, those that need a cluster by hack/cluster/suite; this is what can be said of all without either.
package docs

import (
	"fmt"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/chat-operator/chat-operator/hack/cluster/suite"
	"github.com/chat-operator/chat-operator/hack/internal/markdown"
)

const root = "../.."

// pages are all pages for people, by their path from the top of the repository.
func pages(t *testing.T) map[string]*markdown.Page {
	t.Helper()
	all := map[string]*markdown.Page{}
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			p, err := markdown.Read(file)
			if err != nil {
				t.Fatal(err)
			}
			name, err := filepath.Rel(root, file)
			if err != nil {
				t.Fatal(err)
			}
			all[name] = p
		}
	}
	return all
}

// each calls for every page in order, but the changelog, which speaks of what was.
func each(t *testing.T, do func(name string, p *markdown.Page)) {
	t.Helper()
	all := pages(t)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if name != "CHANGELOG.md" {
			do(name, all[name])
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func exists(path string) bool {
	_, err := os.Stat(filepath.Join(root, path))
	return err == nil
}

func TestLinksLeadSomewhere(t *testing.T) {
	all := pages(t)
	for name, p := range all {
		for _, l := range p.Links {
			target, err := url.Parse(l.Target)
			if err != nil {
				t.Errorf("%s:%d: %v", name, l.Line, err)
				continue
			}
			if target.Host != "" || target.Scheme != "" {
				continue
			}
			file := name
			if target.Path != "" {
				file = filepath.Join(filepath.Dir(name), target.Path)
			}
			if !exists(file) {
				t.Errorf("%s:%d: there is no %s", name, l.Line, file)
			} else if to := all[file]; target.Fragment != "" && (to == nil || !to.Anchors[target.Fragment]) {
				t.Errorf("%s:%d: %s has no heading #%s", name, l.Line, file, target.Fragment)
			}
		}
	}
}

// Whoever begins at the index finds every page.
func TestTheIndexHasAllPages(t *testing.T) {
	all := pages(t)
	for name := range all {
		if !strings.HasPrefix(name, "docs/") || name == "docs/README.md" {
			continue
		}
		if !slices.ContainsFunc(all["docs/README.md"].Links, func(l markdown.Link) bool { return filepath.Join("docs", l.Target) == name }) {
			t.Errorf("docs/README.md does not lead to %s", name)
		}
	}
}

// What a block may need beyond a server on this machine. Those that need a cluster are run in one by hack/cluster/suite; what the others need is not there:
// a reason says why.
var needs = map[string]string{
	"":        "",
	"cluster": "",
	// An API server and no operator, as hack/e2e starts it for this.
	"control-plane": "",
	"cert-manager":  "an issuer that proves a domain, and the program that asks it",
	"docker":        "an engine that builds images, and a registry that takes them",
	"internet":      "a repository to clone",
	"openfire":      "another server with a database of its own; hack/e2e reads in what one says",
}

func TestCommandsParse(t *testing.T) {
	each(t, func(name string, p *markdown.Page) {
		for _, b := range p.Blocks {
			if _, known := needs[b.Needs]; !known {
				t.Errorf("%s:%d: needs %q, which nobody knows; there are %q", name, b.Line, b.Needs, slices.Sorted(maps.Keys(needs)))
			}
			if b.Language != "sh" {
				if b.Language == "bash" || b.Language == "shell" || b.Language == "" && strings.Contains(b.Text, "kubectl ") {
					t.Errorf("%s:%d: commands are in blocks of sh, and what is only shown in blocks of console", name, b.Line)
				}
				continue
			}
			cmd := exec.Command("bash", "-n")
			cmd.Stdin = strings.NewReader(b.Text)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s:%d: %v\n%s", name, b.Line, err, out)
			}
		}
	})
}

// A block that needs a cluster is on a page that is followed in one.
func TestPagesAreFollowedInACluster(t *testing.T) {
	needing := map[string]bool{}
	each(t, func(name string, p *markdown.Page) {
		for _, b := range p.Blocks {
			if b.Needs != "cluster" {
				continue
			}
			needing[name] = true
			if !slices.Contains(suite.Pages, name) {
				t.Errorf("%s:%d: needs a cluster, and hack/cluster/suite does not follow the page", name, b.Line)
			}
			if b.Language != "sh" {
				t.Errorf("%s:%d: needs a cluster, and is no block of commands", name, b.Line)
			}
		}
	})
	for _, name := range suite.Pages {
		if !needing[name] {
			t.Errorf("hack/cluster/suite follows %s, which has no block that needs a cluster", name)
		}
	}
}

// texts are all pieces of code of a page: blocks of commands, and code in sentences.
func texts(p *markdown.Page) (list []markdown.Code) {
	for _, b := range p.Blocks {
		if b.Language == "sh" {
			list = append(list, markdown.Code{Text: b.Text, Line: b.Line})
		}
	}
	return append(list, p.Code...)
}

var target = regexp.MustCompile(`(?m)(?:^|[;&|(] *)make ([a-z][a-z0-9-]*)`)

func TestMakeTargetsExist(t *testing.T) {
	makefile := read(t, "Makefile")
	each(t, func(name string, p *markdown.Page) {
		for _, c := range texts(p) {
			for _, m := range target.FindAllStringSubmatch(c.Text, -1) {
				if !strings.Contains(makefile, "\n"+m[1]+":") {
					t.Errorf("%s:%d: the Makefile has no target %s", name, c.Line, m[1])
				}
			}
		}
	})
}

var (
	metric   = regexp.MustCompile(`chat_operator_[a-z_]+`)
	alert    = regexp.MustCompile(`\bChatOperator[A-Z][A-Za-z]+`)
	property = regexp.MustCompile(`^(?:xmpp|accounts|audit|plugin\.restapi)\.[A-Za-z.-]+$`)
	file     = regexp.MustCompile(`(?:^|[ =])((?:api|charts|cmd|config|controllers|docs|hack|restserver|xmpp)/[A-Za-z0-9_./-]*)`)
	// openfires are properties of the server that people come from.
	openfires = []string{"xmpp.domain"}
	// placeholder is a name that stands for others, as in api/v1alpha1/KIND_types.go.
	placeholder = regexp.MustCompile(`(?:^|/)[A-Z]{2,}[._/]`)
)

func TestNamesAreThere(t *testing.T) {
	metrics, properties, alerts := read(t, "docs/reference/metrics.md"), read(t, "docs/reference/properties.md"), read(t, "charts/chat-operator/files/alerts.yaml")
	each(t, func(name string, p *markdown.Page) {
		if strings.HasPrefix(name, "docs/reference/") {
			return
		}
		for _, c := range texts(p) {
			for _, m := range metric.FindAllString(c.Text, -1) {
				m = strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(m, "_bucket"), "_count"), "_sum")
				if !strings.HasSuffix(m, "_") && !strings.Contains(metrics, "`"+m+"`") {
					t.Errorf("%s:%d: there is no metric %s", name, c.Line, m)
				}
			}
			for _, m := range alert.FindAllString(c.Text, -1) {
				if !strings.Contains(alerts, "alert: "+m+"\n") {
					t.Errorf("%s:%d: there is no alert %s", name, c.Line, m)
				}
			}
			if key := c.Text; property.MatchString(key) && !strings.HasSuffix(key, ".") && !strings.HasPrefix(key, "xmpp.muc.service.") &&
				!slices.Contains(openfires, key) &&
				!strings.Contains(properties, "`"+key+"`") {
				t.Errorf("%s:%d: there is no system property %s", name, c.Line, key)
			}
			for _, m := range file.FindAllStringSubmatch(c.Text, -1) {
				if !placeholder.MatchString(m[1]) && !exists(strings.TrimSuffix(m[1], ".")) {
					t.Errorf("%s:%d: there is no %s", name, c.Line, m[1])
				}
			}
		}
	})
}

// flags are those of the programs of this repository.
func flags(t *testing.T) map[string]bool {
	t.Helper()
	known := map[string]bool{}
	for _, m := range regexp.MustCompile("`--([a-z0-9-]+)`").FindAllStringSubmatch(read(t, "docs/reference/flags.md"), -1) {
		known[m[1]] = true
	}
	for _, pattern := range []string{"*.go", "controllers/transfer/*.go", "cmd/kubectl-chat/*.go"} {
		sources, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, source := range sources {
			name, _ := filepath.Rel(root, source)
			for _, m := range regexp.MustCompile(`\.(?:String|Bool|Int|Duration|Text|StringSlice|StringArray)(?:Var)?P?\((?:&?[A-Za-z_.]+, )?"([a-z0-9-]+)"`).FindAllStringSubmatch(read(t, name), -1) {
				known[m[1]] = true
			}
		}
	}
	if len(known) < 20 {
		t.Fatalf("only these flags were found: %v", known)
	}
	return known
}

// foreign are flags of other programs that sentences speak of by themselves.
var foreign = []string{"server-side", "from-literal", "reset-then-reuse-values", "values", "take-ownership", "show-managed-fields", "namespace", "context",
	"kubeconfig", "as", "selector", "set", "output", "help", "force-conflicts"}

func TestFlagsExist(t *testing.T) {
	known := flags(t)
	flag := regexp.MustCompile(`^--([a-z0-9-]+)(?:[= ].*)?$`)
	check := regexp.MustCompile(`chat-operator (?:check|export|import)\b.*`)
	each(t, func(name string, p *markdown.Page) {
		for _, c := range p.Code {
			if m := flag.FindStringSubmatch(c.Text); m != nil && !known[m[1]] && !slices.Contains(foreign, m[1]) {
				t.Errorf("%s:%d: there is no flag --%s", name, c.Line, m[1])
			}
		}
		for _, c := range texts(p) {
			for _, command := range check.FindAllString(strings.ReplaceAll(c.Text, "\\\n", " "), -1) {
				for _, m := range regexp.MustCompile(` --([a-z0-9-]+)`).FindAllStringSubmatch(command, -1) {
					if !known[m[1]] {
						t.Errorf("%s:%d: there is no flag --%s in %q", name, c.Line, m[1], command)
					}
				}
			}
		}
	})
}

// values are those of a chart, as one path each.
func values(t *testing.T, chart string) map[string]bool {
	t.Helper()
	var tree map[string]any
	if err := yaml.Unmarshal([]byte(read(t, filepath.Join("charts", chart, "values.yaml"))), &tree); err != nil {
		t.Fatal(err)
	}
	paths := map[string]bool{}
	var walk func(prefix string, of map[string]any)
	walk = func(prefix string, of map[string]any) {
		for key, value := range of {
			paths[prefix+key] = true
			if below, ok := value.(map[string]any); ok {
				walk(prefix+key+".", below)
			}
		}
	}
	walk("", tree)
	return paths
}

func TestChartValuesExist(t *testing.T) {
	known := values(t, "chat-operator")
	free := regexp.MustCompile(`^(?:users|groups|rooms|properties|nodeSelector|affinity|resources|podAnnotations|podLabels|service\.annotations|management\.annotations)\b`)
	inline := regexp.MustCompile(`^([a-z][A-Za-z]*(?:\.[a-z][A-Za-z]*)+)(?:: .*|=.*)?$`)
	set := regexp.MustCompile(`--set(?:-string|-file)?[= ]([A-Za-z.]+)`)
	each(t, func(name string, p *markdown.Page) {
		complain := func(line int, path string) {
			if !known[path] && !free.MatchString(path) {
				t.Errorf("%s:%d: the chart has no value %s", name, line, path)
			}
		}
		for _, c := range p.Code {
			if m := inline.FindStringSubmatch(c.Text); m != nil {
				// tls.crt and tls.key are keys of Secrets of that type.
				if top, _, _ := strings.Cut(m[1], "."); known[top] && m[1] != "tls.crt" && m[1] != "tls.key" {
					complain(c.Line, m[1])
				}
			}
		}
		for _, c := range texts(p) {
			for _, m := range set.FindAllStringSubmatch(c.Text, -1) {
				complain(c.Line, m[1])
			}
		}
		for _, b := range p.Blocks {
			var tree map[string]any
			if b.Language != "yaml" || strings.Contains(b.Text, "kind:") || yaml.Unmarshal([]byte(b.Text), &tree) != nil {
				continue
			}
			for key := range tree {
				complain(b.Line, key)
			}
		}
	})
}

// fields are those of the spec of the kinds, as one path each.
func fields(t *testing.T) map[string]bool {
	t.Helper()
	crds, err := filepath.Glob(filepath.Join(root, "config/crd/bases/*.yaml"))
	if err != nil || len(crds) == 0 {
		t.Fatal(crds, err)
	}
	paths := map[string]bool{}
	for _, crd := range crds {
		name, _ := filepath.Rel(root, crd)
		var definition struct {
			Spec struct {
				Versions []struct {
					Schema struct {
						OpenAPI map[string]any `json:"openAPIV3Schema"`
					} `json:"schema"`
				} `json:"versions"`
			} `json:"spec"`
		}
		if err := yaml.Unmarshal([]byte(read(t, name)), &definition); err != nil {
			t.Fatal(err)
		}
		var walk func(prefix string, schema map[string]any)
		walk = func(prefix string, schema map[string]any) {
			if items, ok := schema["items"].(map[string]any); ok {
				walk(prefix, items)
			}
			below, _ := schema["properties"].(map[string]any)
			for key, s := range below {
				paths[prefix+key] = true
				walk(prefix+key+".", s.(map[string]any))
			}
		}
		for _, v := range definition.Spec.Versions {
			walk("", v.Schema.OpenAPI)
		}
	}
	return paths
}

func TestFieldsExist(t *testing.T) {
	known := fields(t)
	field := regexp.MustCompile(`^((?:spec|status)(?:\.[a-zA-Z]+)+)(?:: .*)?$`)
	each(t, func(name string, p *markdown.Page) {
		for _, c := range p.Code {
			if m := field.FindStringSubmatch(c.Text); m != nil && !known[m[1]] {
				t.Errorf("%s:%d: no kind has a field %s", name, c.Line, m[1])
			}
		}
	})
}

// The oldest Kubernetes is decided in api/.
func TestTheOldestKubernetesIsTheSame(t *testing.T) {
	m := regexp.MustCompile(`const OldestKubernetes = "(.*)"`).FindStringSubmatch(read(t, "api/v1alpha1/groupversion.go"))
	if m == nil {
		t.Fatal("api/v1alpha1 does not say which one it is")
	}
	for name := range pages(t) {
		for _, said := range regexp.MustCompile(`Kubernetes (1\.\d+) or newer`).FindAllStringSubmatch(read(t, name), -1) {
			if said[1] != m[1] {
				t.Errorf("%s says Kubernetes %s, and api/v1alpha1 %s", name, said[1], m[1])
			}
		}
	}
}

// The kinds that pages write in manifests and commands.
func TestKindsExist(t *testing.T) {
	kinds := read(t, "PROJECT")
	kind := regexp.MustCompile(`(?m)^apiVersion: chat-operator\.io/([a-z0-9]+)\n(?:.*\n)*?kind: ([A-Za-z]+)$`)
	each(t, func(name string, p *markdown.Page) {
		for _, b := range p.Blocks {
			for _, m := range kind.FindAllStringSubmatch(b.Text, -1) {
				if m[1] != "v1alpha1" || !strings.Contains(kinds, fmt.Sprintf("  kind: %s\n", m[2])) {
					t.Errorf("%s:%d: there is no kind %s in %s", name, b.Line, m[2], m[1])
				}
			}
		}
	})
}
