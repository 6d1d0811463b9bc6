package load

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/chat-operator/chat-operator/hack/bench/internal/client"
)

// Declared is the name of declared account i.
func Declared(i int) string { return fmt.Sprintf("declared%05d", i) }

// declareAtOnce is how many objects are written at a time.
const declareAtOnce = 8

// Declare writes the Secrets and ChatUsers from..from+n-1 into a namespace, each user with a Secret of its own, as kubectl apply of their
// manifests does. With report, the status of each is written, too, as an operator does.
func (r *REST) Declare(ctx context.Context, namespace string, from, n int, report bool) error {
	return each(n, declareAtOnce, func(i int) error {
		name := Declared(from + i)
		_, err := r.kube(ctx, http.MethodPost, coreV1+namespace+"/secrets", map[string]any{
			"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": map[string]any{"name": name, "labels": mark}, "stringData": r.Verifiers,
		}, http.StatusCreated)
		if err == nil {
			err = r.user(ctx, namespace, name, name)
		}
		if err == nil && report {
			err = r.merge(ctx, chatV1+namespace+"/chatusers/"+name+"/status", statusOf(name))
		}
		return err
	})
}

// statusOf has the size and shape of what the operator writes.
func statusOf(name string) map[string]any {
	var conditions []map[string]any
	for _, kind := range []string{"Ready", "CredentialsReady"} {
		conditions = append(conditions, map[string]any{
			"type": kind, "status": "True", "reason": "Active", "observedGeneration": 1, "lastTransitionTime": time.Now().UTC().Format(time.RFC3339),
			"message": "The account can log in.",
		})
	}
	now := time.Now().UTC().Format(time.RFC3339)
	return map[string]any{"status": map[string]any{
		"observedGeneration": 1, "jid": name + "@localhost", "createdAt": now, "modifiedAt": now, "binding": map[string]any{"name": name}, "conditions": conditions,
	}}
}

func (r *REST) merge(ctx context.Context, path string, patch map[string]any) error {
	body, err := json.Marshal(patch)
	if err != nil {
		return err
	}
	_, err = call(ctx, r.Kube, http.MethodPatch, r.KubeURL+path, http.Header{"Content-Type": {"application/merge-patch+json"}}, body, http.StatusOK)
	return err
}

// WatchReady begins to watch the operator's ChatUsers. What it returns waits until n more of them are Ready.
func (r *REST) WatchReady(ctx context.Context, n int) (wait func() error, err error) {
	path := chatV1 + r.Namespace + "/chatusers"
	text, err := r.kube(ctx, http.MethodGet, path+"?limit=1", nil, http.StatusOK)
	if err != nil {
		return nil, err
	}
	var list struct {
		Metadata struct {
			ResourceVersion string `json:"resourceVersion"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.KubeURL+path+"?watch=1&resourceVersion="+list.Metadata.ResourceVersion, nil)
	if err != nil {
		cancel()
		return nil, err
	}
	resp, err := r.Kube.Do(req) //nolint:bodyclose // closed by the goroutine that reads it
	if err != nil {
		cancel()
		return nil, err
	}
	done := make(chan error, 1)
	go func() { // ends with n accounts, or with ctx
		defer cancel()
		defer resp.Body.Close()
		done <- countReady(resp.Body, n)
	}()
	return func() error { return <-done }, nil
}

func countReady(events io.Reader, n int) error {
	ready := make(map[string]bool, n)
	for d := json.NewDecoder(events); len(ready) < n; {
		var event struct {
			Type   string `json:"type"`
			Object struct {
				Metadata struct {
					Name string `json:"name"`
				} `json:"metadata"`
				Status struct {
					Conditions []struct{ Type, Status string } `json:"conditions"`
				} `json:"status"`
			} `json:"object"`
		}
		if err := d.Decode(&event); err != nil {
			return fmt.Errorf("%d of %d accounts are Ready: %w", len(ready), n, err)
		}
		for _, c := range event.Object.Status.Conditions {
			if c.Type == "Ready" && c.Status == "True" {
				ready[event.Object.Metadata.Name] = true
			}
		}
	}
	return nil
}

// Writes is how many writes the API server has been asked for that an operator makes: of chat resources, Secrets and Events.
func (r *REST) Writes(ctx context.Context) (int, error) {
	text, err := r.kube(ctx, http.MethodGet, "/metrics", nil, http.StatusOK)
	if err != nil {
		return 0, err
	}
	sum := 0
	for line := range bytes.Lines(text) {
		labels, ok := strings.CutPrefix(string(line), "apiserver_request_total{")
		if !ok || !writes(labels) {
			continue
		}
		fields := strings.Fields(labels[strings.LastIndexByte(labels, '}')+1:])
		if len(fields) == 0 {
			continue
		}
		v, err := strconv.ParseFloat(fields[0], 64)
		if err != nil {
			return 0, fmt.Errorf("the API server's metrics: %w", err)
		}
		sum += int(v)
	}
	return sum, nil
}

func writes(labels string) bool {
	has := func(name string, values ...string) bool {
		for _, v := range values {
			if strings.Contains(labels, name+`="`+v+`"`) {
				return true
			}
		}
		return false
	}
	return has("verb", "POST", "PUT", "PATCH", "APPLY", "DELETE") &&
		(has("group", "chat-operator.io") || has("resource", "secrets", "events"))
}

// LoginOnce logs a declared account in and out.
func (t *Target) LoginOnce(ctx context.Context, i int) error {
	c, err := client.Login(ctx, t.Client, Declared(i), t.Password, Resource)
	if err != nil {
		return err
	}
	c.Abort()
	return nil
}

// LoginAll logs the accounts from..from+n-1 in and out, each once.
func (t *Target) LoginAll(ctx context.Context, from, n int) error {
	return each(n, parallel, func(i int) error { return t.LoginOnce(ctx, from+i) })
}

// Until says how long it takes until do succeeds. It gives up after a minute.
func Until(ctx context.Context, pause time.Duration, do func() error) (time.Duration, error) {
	const patience = time.Minute
	begin := time.Now()
	for {
		err := do()
		if err == nil || time.Since(begin) > patience {
			return time.Since(begin), err
		}
		if err := sleep(ctx, pause); err != nil {
			return 0, err
		}
	}
}

// Locked locks declared accounts, one after the other, and says how long after the API server's answer the session of each was closed.
func (t *Target) Locked(ctx context.Context, r *REST, from, n int) (times []float64, err error) {
	for i := from; i < from+n; i++ {
		session, err := client.Login(ctx, t.Client, Declared(i), t.Password, Resource)
		if err != nil {
			return nil, err
		}
		closed := make(chan time.Time, 1)
		go func() { // ends when the server closes the stream, or by Abort
			for {
				e, err := session.Next()
				if err != nil || e.Is("stream:error") {
					closed <- time.Now()
					return
				}
			}
		}()
		err = r.merge(ctx, chatV1+r.Namespace+"/chatusers/"+Declared(i), map[string]any{"spec": map[string]any{"locked": true}})
		answered := time.Now()
		if err != nil {
			session.Abort()
			return nil, err
		}
		select {
		case at := <-closed:
			times = append(times, max(0, at.Sub(answered).Seconds()*1000))
		case <-time.After(10 * time.Second):
			err = fmt.Errorf("the session of %s goes on though it was locked", Declared(i))
		}
		session.Abort()
		if err != nil {
			return nil, err
		}
	}
	return times, nil
}

// Rotated changes the Secrets of declared accounts, one after the other, and says how long after the API server's answer each new
// password opened its account.
func (t *Target) Rotated(ctx context.Context, r *REST, from, n int, password string) (times []float64, err error) {
	for i := from; i < from+n; i++ {
		if err := r.merge(ctx, coreV1+r.Namespace+"/secrets/"+Declared(i), map[string]any{"stringData": r.OtherVerifiers}); err != nil {
			return nil, err
		}
		answered := time.Now()
		for {
			begun := time.Now()
			c, err := client.Bind(ctx, t.Client, Declared(i), password, Resource)
			if err == nil {
				c.Abort()
				times = append(times, begun.Sub(answered).Seconds()*1000)
				break
			}
			if !errors.Is(err, client.ErrLogin) || time.Since(answered) > 10*time.Second {
				return nil, err
			}
		}
	}
	return times, nil
}
