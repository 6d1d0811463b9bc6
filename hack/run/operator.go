package main

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"github.com/chat-operator/chat-operator/hack/internal/supervise"
)

// startOperator starts the operator and returns when its readiness probe answers.
func (r *run) startOperator(ctx context.Context, kubeconfig string) error {
	s := r.settings
	args := []string{
		"--namespace=" + s.namespace,
		"--domain=" + s.domain,
		"--data-dir=" + s.dataDir(),
		"--xmpp-bind-address=" + s.xmpp.address(),
		"--xmpps-bind-address=" + s.xmpps.address(),
		"--rest-bind-address=" + s.rest.address(),
		"--rest-tls-bind-address=" + s.restTLS.address(),
		"--health-probe-bind-address=" + s.health.address(),
		"--metrics-bind-address=" + s.metrics.address(),
		"--log-level=" + s.logLevel,
	}
	if kubeconfig != "" {
		args = append(args, "--kubeconfig="+kubeconfig)
	}
	p, err := r.group.Start(supervise.Spec{
		Name: "chat-operator", Path: s.operator, Args: append(args, s.passOn...),
		Log:   filepath.Join(s.dir, "logs", "chat-operator.log"),
		Grace: 20 * time.Second,
	})
	if err != nil {
		return err
	}
	r.operator = p
	r.procs = append(r.procs, p)
	return p.WaitReady(ctx, func(ctx context.Context) error { return probe(ctx, "http://"+s.health.address()+"/readyz") })
}

func probe(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, resp.Status)
	}
	return nil
}
