package servers

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/chat-operator/chat-operator/hack/bench/internal/client"
	"github.com/chat-operator/chat-operator/hack/bench/internal/load"
	"github.com/chat-operator/chat-operator/hack/bench/internal/procs"
)

// operator is the program of this repository as `make run` starts it: with a Kubernetes control plane, whose processes do not count,
// and accounts that are resources.
type operator struct {
	one
	env *Env
}

func (o *operator) Name() string { return SelfName }

func (o *operator) Missing() error {
	for _, path := range []string{o.env.Operator, o.runner(), filepath.Join(o.env.Assets, "kube-apiserver"), o.kubectl()} {
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("the operator cannot run: %w (make build controlplane)", err)
		}
	}
	return nil
}

func (o *operator) runner() string  { return filepath.Join(o.env.Repo, "bin", "run") }
func (o *operator) kubectl() string { return filepath.Join(o.env.Assets, "kubectl") }
func (o *operator) dir() string     { return filepath.Join(o.env.Dir, "operator") }
func (o *operator) wrapper() string { return filepath.Join(o.env.Dir, "chat-operator") }

const operatorNamespace = "bench"

// OtherPassword is added to the password of an account whose Secret changes.
const OtherPassword = "-2"

// operatorSettings stand for what the peers' configurations say: nothing shapes. A key that this version does not know
// does nothing.
func operatorSettings() map[string]string {
	return map[string]string{
		"xmpp.limits.stanza-rate":             "0",
		"xmpp.limits.byte-rate":               "0",
		"xmpp.limits.unauthenticated":         "0",
		"xmpp.limits.unauthenticated-address": "0",
		"xmpp.limits.failed-logins":           "0",
		"xmpp.limits.failed-logins-address":   "0",
		"xmpp.offline.max-messages":           "1000000",
		"xmpp.muc.rooms-of-user":              "0",
	}
}

func (o *operator) Prepare(ctx context.Context) error {
	// Only the operator keeps to the processors of servers, not the control plane.
	program := o.wrapper() + "-program"
	if err := procs.Executable(o.env.Operator, program); err != nil {
		return err
	}
	path, args := procs.Wrap(o.env.CPUs, program)
	line := quote(path)
	for _, a := range args {
		line += " " + quote(a)
	}
	if err := os.WriteFile(o.wrapper(), fmt.Appendf(nil, wrapperScript, line, quote(o.pidFile())), 0o700); err != nil {
		return err
	}
	if _, err := o.launch(ctx); err != nil {
		return errors.Join(err, o.Stop())
	}
	err := o.createAccounts(ctx)
	return errors.Join(err, o.Stop())
}

// wrapperScript starts the operator, and anew when it was killed: its control plane stays.
const wrapperScript = `#!/bin/sh
ended=
trap 'ended=yes; kill -TERM "$child"' TERM INT
while :; do
  %s "$@" &
  child=$!
  echo "$child" >%s
  wait "$child"
  code=$?
  # The trap cuts the first wait short.
  [ -z "$ended" ] || { wait "$child"; exit; }
  [ "$code" = 137 ] || exit "$code"
done
`

func (o *operator) pidFile() string { return filepath.Join(o.env.Dir, "chat-operator.pid") }

// Kill kills the operator, which starts anew at once.
func (o *operator) Kill() error {
	text, err := os.ReadFile(o.pidFile())
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return err
	}
	return syscall.Kill(pid, syscall.SIGKILL)
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func (o *operator) Start(ctx context.Context) (*load.Target, error) {
	t, err := o.launch(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	return t, o.process.WaitReady(ctx, func(ctx context.Context) error { return probe(ctx, t) })
}

func (o *operator) launch(ctx context.Context) (*load.Target, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	names := []string{"xmpp", "xmpps", "rest", "rest-tls", "health", "metrics", "apiserver", "etcd", "etcd-peer", "controller-manager"}
	ports, err := procs.FreePorts(len(names))
	if err != nil {
		return nil, err
	}
	args := []string{
		"up", "--cluster=local", "--dir=" + o.dir(), "--binaries=" + o.env.Assets, "--operator=" + o.wrapper(),
		"--config=" + filepath.Join(o.env.Repo, "config"), "--namespace=" + operatorNamespace, "--domain=" + Domain,
		"--samples=false", "--log-level=warn",
	}
	for i, name := range names {
		args = append(args, fmt.Sprintf("--%s-port=%d", name, ports[i]))
	}
	args = append(args, "--", "--tls-cert-file="+o.env.certFile(), "--tls-key-file="+o.env.keyFile())
	if o.env.Profile != "" {
		args = append(args, "--pprof-bind-address="+o.env.Profile)
	}
	env := filepath.Join(o.dir(), "env")
	_ = os.Remove(env)
	o.process, err = o.env.Launcher.Start(procs.Spec{
		Name: "the operator", Path: o.runner(), Args: args, Log: o.env.log("operator"), Grace: 40 * time.Second,
	})
	if err != nil {
		return nil, err
	}
	// The file appears, whole, when everything is ready.
	var pid int
	err = o.process.WaitReady(ctx, func(context.Context) error {
		text, err := os.ReadFile(env)
		if err != nil {
			return err
		}
		_, after, _ := strings.Cut(string(text), "OPERATOR_PID='")
		number, _, _ := strings.Cut(after, "'")
		pid, err = strconv.Atoi(number)
		return err
	})
	return o.env.target(ports[1], pid), err
}

// REST says how the REST API and the API server beneath it are reached, which is as an administrator does.
func (o *operator) REST() (*load.REST, error) {
	text, err := os.ReadFile(filepath.Join(o.dir(), "env"))
	if err != nil {
		return nil, err
	}
	value := func(name string) string {
		_, after, _ := strings.Cut(string(text), name+"='")
		v, _, _ := strings.Cut(after, "'")
		return v
	}
	kubeconfig, err := os.ReadFile(value("KUBECONFIG"))
	if err != nil {
		return nil, err
	}
	field := func(name string) string {
		for line := range strings.Lines(string(kubeconfig)) {
			if key, v, ok := strings.Cut(strings.TrimLeft(line, " -"), ":"); ok && key == name {
				return strings.Trim(strings.TrimSpace(v), `"`)
			}
		}
		return ""
	}
	data := func(name string) []byte {
		b, _ := base64.StdEncoding.DecodeString(field(name)) // what is missing shows when it is used
		return b
	}
	certificate, err := tls.X509KeyPair(data("client-certificate-data"), data("client-key-data"))
	if err != nil {
		return nil, fmt.Errorf("the kubeconfig of the control plane: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(data("certificate-authority-data"))
	secret, err := o.verifiers(o.env.Password)
	if err != nil {
		return nil, err
	}
	other, err := o.verifiers(o.env.Password + OtherPassword)
	if err != nil {
		return nil, err
	}
	return &load.REST{
		Verifiers: secret, OtherVerifiers: other,
		URL: value("REST_URL"), Secret: value("REST_SECRET"),
		API: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}},
		Kube: &http.Client{Transport: &http.Transport{
			ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots, Certificates: []tls.Certificate{certificate}},
		}},
		KubeURL: field("server"), Namespace: operatorNamespace, Bare: operatorNamespace + "-bare",
	}, nil
}

// verifiers is what the Secret of an account with that password holds.
func (o *operator) verifiers(password string) (map[string]string, error) {
	secret := map[string]string{}
	for key, m := range map[string]client.Mechanism{"scram-sha-1": client.SHA1, "scram-sha-256": client.SHA256} {
		stored, server, err := o.env.verifier(m, password)
		if err != nil {
			return nil, err
		}
		b64 := base64.StdEncoding.EncodeToString
		secret[key] = fmt.Sprintf("%s$%d:%s$%s:%s", m, Iterations, b64([]byte(Salt)), b64(stored), b64(server))
	}
	return secret, nil
}

// createAccounts makes the Secrets and ChatUsers through the API server, and waits until all can log in and the operator has reported.
func (o *operator) createAccounts(ctx context.Context) error {
	proxy, c, err := o.proxy(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = proxy.Stop() }()
	secret, err := o.verifiers(o.env.Password)
	if err != nil {
		return err
	}
	const core, chat = "http://localhost/api/v1/namespaces/" + operatorNamespace, "http://localhost/apis/chat-operator.io/v1alpha1/namespaces/" + operatorNamespace
	create := func(url string, object map[string]any) error {
		body, err := json.Marshal(object)
		if err != nil {
			return err
		}
		return post(ctx, c, url, body, http.StatusCreated, http.StatusConflict)
	}
	for key, value := range operatorSettings() {
		err := create(chat+"/systemproperties", map[string]any{
			"apiVersion": "chat-operator.io/v1alpha1", "kind": "SystemProperty", "metadata": map[string]any{"name": key},
			"spec": map[string]any{"key": key, "value": value},
		})
		if err != nil {
			return err
		}
	}
	err = concurrently(o.env.Accounts, func(i int) error {
		name := load.Username(i)
		err := create(core+"/secrets", map[string]any{
			"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": map[string]any{"name": name + "-login"}, "stringData": secret,
		})
		if err != nil {
			return err
		}
		return create(chat+"/chatusers", map[string]any{
			"apiVersion": "chat-operator.io/v1alpha1", "kind": "ChatUser", "metadata": map[string]any{"name": name},
			"spec": map[string]any{"credentials": map[string]any{"secretRef": map[string]any{"name": name + "-login"}}},
		})
	})
	if err != nil {
		return err
	}
	return o.reported(ctx, c, chat+"/chatusers")
}

// reported waits until every ChatUser has its status: what comes later would count as work of the chat server.
func (o *operator) reported(ctx context.Context, c *http.Client, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		resp, err := c.Do(req)
		if err != nil {
			return err
		}
		var list struct {
			Items []struct {
				Status struct {
					JID string `json:"jid"`
				} `json:"status"`
			} `json:"items"`
		}
		err = errors.Join(json.NewDecoder(resp.Body).Decode(&list), resp.Body.Close())
		if err != nil {
			return err
		}
		done := 0
		for _, u := range list.Items {
			if u.Status.JID != "" {
				done++
			}
		}
		if done >= o.env.Accounts {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d of %d accounts have a status: %w", done, o.env.Accounts, ctx.Err())
		case <-time.After(time.Second):
		}
	}
}

// proxy is `kubectl proxy` on a socket that only this user reaches.
func (o *operator) proxy(ctx context.Context) (*procs.Process, *http.Client, error) {
	text, err := os.ReadFile(filepath.Join(o.dir(), "env"))
	if err != nil {
		return nil, nil, err
	}
	_, after, _ := strings.Cut(string(text), "KUBECONFIG='")
	kubeconfig, _, _ := strings.Cut(after, "'")
	socket := filepath.Join(o.env.Dir, "proxy.sock")
	_ = os.Remove(socket)
	p, err := o.env.Launcher.Start(procs.Spec{
		Name: "kubectl proxy", Path: o.kubectl(), Args: []string{"--kubeconfig=" + kubeconfig, "proxy", "--unix-socket=" + socket},
		Log: o.env.log("kubectl-proxy"), Grace: 5 * time.Second,
	})
	if err != nil {
		return nil, nil, err
	}
	c := &http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: 16,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", socket)
		},
	}}
	err = p.WaitReady(ctx, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/readyz", nil)
		if err != nil {
			return err
		}
		resp, err := c.Do(req)
		if err != nil {
			return err
		}
		return resp.Body.Close()
	})
	if err != nil {
		_ = p.Stop()
		return nil, nil, err
	}
	return p, c, nil
}
