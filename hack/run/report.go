package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
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
		kubeconfig:  r.kubectl.kubeconfig,
		kubectl:     r.kubectl.path,
		xmppAddr:    s.xmpp.address(),
		restURL:     "http://" + s.rest.address() + "/plugins/restapi/v1",
		operatorPID: r.operator.PID(),
	}
	if rep.kubeconfig == "" {
		rep.kubeconfig = currentKubeconfig()
	}
	var secret struct {
		Data map[string][]byte `json:"data"`
	}
	if err := r.kubectl.get(ctx, &secret, "secret", operatorSecret); err != nil {
		return nil, err
	}
	rep.restSecret = string(secret.Data["rest-secret"])
	if len(r.sampleUsers) > 0 {
		// Until then the Secrets with the generated passwords may not be there.
		args := append([]string{"wait", "--for=condition=Ready", "--timeout=20s"}, r.sampleUsers...)
		if _, err := r.kubectl.run(ctx, args...); err != nil {
			return nil, err
		}
	}
	var users struct {
		Items []struct {
			Status struct {
				JID     string `json:"jid"`
				Binding struct {
					Name string `json:"name"`
				} `json:"binding"`
			} `json:"status"`
		} `json:"items"`
	}
	if err := r.kubectl.get(ctx, &users, "chatusers"); err != nil {
		return nil, err
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
		return nil, err
	}
	readable := map[string]bool{} // Secrets of accounts made by REST hold only verifiers
	for _, s := range secrets.Items {
		readable[s.Metadata.Name] = len(s.Data["password"]) > 0
	}
	for _, u := range users.Items {
		if len(rep.accounts) < 2 && readable[u.Status.Binding.Name] {
			rep.accounts = append(rep.accounts, account{jid: u.Status.JID, secret: u.Status.Binding.Name})
		}
	}
	return rep, nil
}

func (rep *report) print(out io.Writer, s *settings, took time.Duration) {
	kubectl := rep.kubectl
	if here, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(here, kubectl); err == nil && !strings.HasPrefix(rel, "..") {
			kubectl = rel
		}
	}
	fmt.Fprintf(out, "\nReady after %.1f s.\n\n", took.Seconds())
	fmt.Fprintf(out, "  Kubernetes  export KUBECONFIG=%s\n", rep.kubeconfig)
	fmt.Fprintf(out, "              %s --namespace %s get chat\n", kubectl, s.namespace)
	fmt.Fprintf(out, "  XMPP        host 127.0.0.1, port %d (STARTTLS) or %d (direct TLS), domain %s, self-signed certificate\n", s.xmpp.number, s.xmpps.number, s.domain)
	fmt.Fprintf(out, "  REST        %s\n", rep.restURL)
	fmt.Fprintf(out, "              header  Authorization: %s\n", rep.restSecret)
	fmt.Fprintf(out, "              in a browser: http://%s/plugins/restapi/docs/; with TLS on port %d\n", s.rest.address(), s.restTLS.number)
	for i, a := range rep.accounts {
		head := "            "
		if i == 0 {
			head = "  Accounts  "
		}
		fmt.Fprintf(out, "%s  %s, password from\n", head, a.jid)
		fmt.Fprintf(out, "                %s --kubeconfig %s --namespace %s get secret %s --output jsonpath='{.data.password}' | base64 -d\n",
			kubectl, rep.kubeconfig, s.namespace, a.secret)
	}
	fmt.Fprintf(out, "  Logs        %s\n", filepath.Join(s.dir, "logs"))
	fmt.Fprintf(out, "  Scripts     . %s\n", filepath.Join(s.dir, "env"))
	fmt.Fprintln(out, "\nCtrl-C stops everything.")
}

// writeEnv writes the file that scripts source. It appears when everything is ready, whole, and holds a secret: for its owner alone.
func writeEnv(s *settings, rep *report) error {
	var b strings.Builder
	for _, v := range [][2]string{
		{"KUBECONFIG", rep.kubeconfig},
		{"XMPP_ADDR", rep.xmppAddr},
		{"XMPP_DOMAIN", s.domain},
		{"REST_URL", rep.restURL},
		{"REST_SECRET", rep.restSecret},
		{"KUBECTL_CHAT_REST_URL", rep.restURL}, // where the plugin finds a server that is no Pod
		{"OPERATOR_PID", fmt.Sprint(rep.operatorPID)},
	} {
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
