package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// report is how to reach what runs.
type report struct {
	kubeconfig, kubectl string
	xmppAddr, restURL   string
	restSecret          string
	operatorPID         int
	accounts            []account
	moreAccounts        int // that are there besides
}

type account struct {
	jid    string
	secret string // the Secret with the password
}

// operatorSecret is the Secret that the operator makes at its first start.
const operatorSecret = "chat-operator"

func (r *run) report(ctx context.Context) (*report, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	s := r.settings
	rep := &report{
		kubeconfig: r.kubectl.kubeconfig,
		kubectl:    r.kubectl.path,
	}
	if rep.kubeconfig == "" {
		rep.kubeconfig = currentKubeconfig()
	}
	if s.controlPlaneOnly {
		return rep, nil
	}
	rep.xmppAddr, rep.restURL, rep.operatorPID = s.xmpp.address(), "http://"+s.rest.address()+"/plugins/restapi/v1", r.operator.PID()
	var secret struct {
		Data map[string][]byte `json:"data"`
	}
	if err := r.kubectl.get(ctx, &secret, "secret", operatorSecret); err != nil {
		return nil, err
	}
	rep.restSecret = string(secret.Data["rest-secret"])
	if len(r.applied) > 0 {
		// Until then the Secrets with the generated passwords may not be there.
		args := append([]string{"wait", "--for=condition=Ready", "--timeout=20s"}, r.applied...)
		if _, err := r.kubectl.run(ctx, args...); err != nil {
			return nil, err
		}
	}
	return rep, r.reportAccounts(ctx, rep)
}

// shownAccounts is how many accounts are shown.
const shownAccounts = 2

// reportAccounts finds accounts to log in with: not locked, with a password that can be read. Those of the samples come first.
func (r *run) reportAccounts(ctx context.Context, rep *report) error {
	var users struct {
		Items []chatUser `json:"items"`
	}
	if err := r.kubectl.get(ctx, &users, "chatusers"); err != nil {
		return err
	}
	var secrets struct {
		Items []struct {
			Metadata struct {
				Name string `json:"name"`
			} `json:"metadata"`
			Data map[string][]byte `json:"data"`
		} `json:"items"`
	}
	if err := r.kubectl.get(ctx, &secrets, "secrets"); err != nil {
		return err
	}
	readable := map[string]bool{} // Secrets of accounts made by REST hold only verifiers
	for _, s := range secrets.Items {
		readable[s.Metadata.Name] = len(s.Data["password"]) > 0
	}
	var samples []string
	if r.settings.samples && !r.settings.current {
		out, err := r.kubectl.run(ctx, "get", "--ignore-not-found", "--output=name", "--kustomize="+r.samplesDir())
		if err != nil {
			return err
		}
		samples = chatUsers(out)
	}
	rep.accounts = pickAccounts(users.Items, readable, samples)
	rep.moreAccounts = len(users.Items) - len(rep.accounts)
	return nil
}

// chatUser is what is looked at of a ChatUser.
type chatUser struct {
	Metadata struct {
		Name string `json:"name"`
	} `json:"metadata"`
	Spec struct {
		Locked bool `json:"locked"`
	} `json:"spec"`
	Status struct {
		JID     string `json:"jid"`
		Binding struct {
			Name string `json:"name"`
		} `json:"binding"`
	} `json:"status"`
}

func pickAccounts(users []chatUser, readable map[string]bool, samples []string) (picked []account) {
	isSample := func(u chatUser) bool {
		return slices.ContainsFunc(samples, func(name string) bool { return strings.HasSuffix(name, "/"+u.Metadata.Name) })
	}
	for _, sample := range []bool{true, false} {
		for _, u := range users {
			if isSample(u) == sample && !u.Spec.Locked && readable[u.Status.Binding.Name] && len(picked) < shownAccounts {
				picked = append(picked, account{jid: u.Status.JID, secret: u.Status.Binding.Name})
			}
		}
	}
	return picked
}

func (rep *report) print(out io.Writer, s *settings, took time.Duration) {
	kubectl := rep.kubectl
	if here, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(here, kubectl); err == nil && !strings.HasPrefix(rel, "..") {
			kubectl = rel
		}
	}
	if s.current {
		kubectl += " --namespace " + s.namespace // the kubeconfig of a cluster of its own says which one
	}
	fmt.Fprintf(out, "\nReady after %.1f s.\n\n", took.Seconds())
	fmt.Fprintf(out, "  Kubernetes  export KUBECONFIG=%s\n", rep.kubeconfig)
	fmt.Fprintf(out, "              %s get chat\n", kubectl)
	if s.controlPlaneOnly {
		fmt.Fprintln(out, "  Operator    not started: its database is free for `chat-operator import`")
	} else {
		rep.printServer(out, s, kubectl)
	}
	fmt.Fprintf(out, "  Data        %s\n", s.dataDir())
	fmt.Fprintf(out, "  Logs        %s\n", filepath.Join(s.dir, "logs"))
	fmt.Fprintf(out, "  Scripts     . %s\n", filepath.Join(s.dir, "env"))
	fmt.Fprintln(out, "\nCtrl-C stops everything.")
}

// printServer says how to reach the chat server, and as whom.
func (rep *report) printServer(out io.Writer, s *settings, kubectl string) {
	fmt.Fprintf(out, "  XMPP        host 127.0.0.1, port %d (STARTTLS) or %d (direct TLS), domain %s, self-signed certificate\n", s.xmpp.number, s.xmpps.number, s.domain)
	fmt.Fprintf(out, "  REST        %s\n", rep.restURL)
	fmt.Fprintf(out, "              header  Authorization: %s\n", rep.restSecret)
	fmt.Fprintf(out, "              in a browser: http://%s/plugins/restapi/docs/; with TLS on port %d\n", s.rest.address(), s.restTLS.number)
	fmt.Fprintf(out, "  Health      http://%s/readyz?verbose\n", s.health.address())
	fmt.Fprintf(out, "  Metrics     http://%s/metrics\n", s.metrics.address())
	head := "  Accounts    "
	for _, a := range rep.accounts {
		fmt.Fprintf(out, "%s%s, password from\n", head, a.jid)
		fmt.Fprintf(out, "                %s --kubeconfig %s get secret %s --output jsonpath='{.data.password}' | base64 -d\n", kubectl, rep.kubeconfig, a.secret)
		head = "              "
	}
	switch {
	case rep.moreAccounts == 0:
	case len(rep.accounts) == 0:
		fmt.Fprintf(out, "%s%d: %s get chatusers\n", head, rep.moreAccounts, kubectl)
	default:
		fmt.Fprintf(out, "%sand %d more: %s get chatusers\n", head, rep.moreAccounts, kubectl)
	}
}

// writeEnv writes the file that scripts source. It appears when everything is ready, whole, and holds a secret: for its owner alone.
func writeEnv(s *settings, rep *report) error {
	var b strings.Builder
	for _, v := range [][2]string{{"KUBECONFIG", rep.kubeconfig}, {"CHAT_DATA_DIR", s.dataDir()}, {"XMPP_DOMAIN", s.domain}} {
		fmt.Fprintf(&b, "export %s=%s\n", v[0], shellQuote(v[1]))
	}
	for _, v := range [][2]string{
		{"XMPP_ADDR", rep.xmppAddr},
		{"XMPPS_ADDR", s.xmpps.address()},
		{"HEALTH_ADDR", s.health.address()},
		{"METRICS_ADDR", s.metrics.address()},
		{"REST_URL", rep.restURL},
		{"REST_SECRET", rep.restSecret},
		{"KUBECTL_CHAT_REST_URL", rep.restURL}, // where the plugin finds a server that is no Pod
		{"OPERATOR_PID", fmt.Sprint(rep.operatorPID)},
	} {
		if s.controlPlaneOnly { // those of another server, whose file was read before, would lead there
			fmt.Fprintf(&b, "unset %s\n", v[0])
			continue
		}
		fmt.Fprintf(&b, "export %s=%s\n", v[0], shellQuote(v[1]))
	}
	path := filepath.Join(s.dir, "env")
	if err := os.WriteFile(path+".new", []byte(b.String()), 0o600); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return os.Rename(path+".new", path)
}

func shellQuote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
