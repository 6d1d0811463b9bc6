package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/chat-operator/chat-operator/hack/internal/overlay"
)

// serviceAccount is the name that config/rbac gives the operator's ServiceAccount.
const serviceAccount = "chat-operator"

// kubectl runs kubectl against one cluster and namespace.
type kubectl struct {
	path       string
	kubeconfig string // empty: as the environment says
	namespace  string
}

// run runs kubectl with args and returns what it printed.
func (k *kubectl) run(ctx context.Context, args ...string) ([]byte, error) {
	return k.apply(ctx, "", args...)
}

func (k *kubectl) apply(ctx context.Context, stdin string, args ...string) ([]byte, error) {
	all := append([]string{"--namespace=" + k.namespace}, args...)
	if k.kubeconfig != "" {
		all = append([]string{"--kubeconfig=" + k.kubeconfig}, all...)
	}
	cmd := exec.CommandContext(ctx, k.path, all...)
	cmd.Stdin = strings.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("kubectl %s: %w\n%s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return stdout.Bytes(), nil
}

func (k *kubectl) get(ctx context.Context, into any, args ...string) error {
	out, err := k.run(ctx, append([]string{"get", "--output=json"}, args...)...)
	if err != nil {
		return err
	}
	return json.Unmarshal(out, into)
}

// install makes the namespace and puts the custom resources, the roles of people and the operator's rights in.
func (r *run) install(ctx context.Context) error {
	namespace := fmt.Sprintf(`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":%q}}`, r.settings.namespace)
	if _, err := r.kubectl.apply(ctx, namespace, "apply", "--server-side", "--filename=-"); err != nil {
		return err
	}
	// Server-side: a large schema does not fit into the annotation of a client-side apply.
	crds := filepath.Join(r.settings.config, "crd", "bases")
	if _, err := r.kubectl.run(ctx, "apply", "--server-side", "--force-conflicts", "--kustomize="+filepath.Join(r.settings.config, "cluster")); err != nil {
		return err
	}
	if _, err := r.kubectl.run(ctx, "wait", "--for=condition=Established", "--timeout=30s", "--filename="+crds); err != nil {
		return err
	}
	if err := r.grant(ctx); err != nil {
		return err
	}
	return r.waitTakenUp(ctx)
}

// grant applies config/rbac in the operator's namespace, whichever it is, which takes a kustomization of its own. REST accepts Kubernetes tokens
// here: the cluster is this run's own, so a right in all of it takes nothing from anybody.
func (r *run) grant(ctx context.Context) error {
	dir, config := filepath.Join(r.settings.dir, "rights"), r.settings.config
	if err := overlay.Write(dir, r.settings.namespace, filepath.Join(config, "rbac"), filepath.Join(config, "kubernetes-tokens")); err != nil {
		return err
	}
	_, err := r.kubectl.run(ctx, "apply", "--server-side", "--force-conflicts", "--kustomize="+dir)
	return err
}

// waitTakenUp waits until the API server has taken up the operator's rights and serves the kinds, which happens a moment after they are stored.
func (r *run) waitTakenUp(ctx context.Context) error {
	user := "system:serviceaccount:" + r.settings.namespace + ":" + serviceAccount
	for _, question := range [][]string{{"auth", "can-i", "get", "secrets", "--as=" + user}, {"get", "chat"}} {
		if err := r.waitAnswer(ctx, question...); err != nil {
			return err
		}
	}
	return nil
}

// waitAnswer waits until kubectl succeeds.
func (r *run) waitAnswer(ctx context.Context, args ...string) error {
	for {
		_, err := r.kubectl.run(ctx, args...)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// begunAnnotation is on a namespace that has been begun.
const begunAnnotation = "run.chat-operator.io/begun"

// isNew reports whether nobody has begun with the namespace yet. Only then it gets the samples: what somebody deletes or changes of them stays so.
func (r *run) isNew(ctx context.Context) (bool, error) {
	var namespace struct {
		Metadata struct {
			Annotations map[string]string `json:"annotations"`
		} `json:"metadata"`
	}
	err := r.kubectl.get(ctx, &namespace, "namespace", r.settings.namespace)
	return namespace.Metadata.Annotations[begunAnnotation] == "", err
}

func (r *run) samplesDir() string { return filepath.Join(r.settings.config, "samples") }

// applySamples applies config/samples, and remembers which users are among them.
func (r *run) applySamples(ctx context.Context) error {
	out, err := r.kubectl.run(ctx, "apply", "--output=name", "--kustomize="+r.samplesDir())
	if err != nil {
		return err
	}
	r.applied = chatUsers(out)
	return nil
}

// chatUsers are the users in what kubectl prints with --output=name.
func chatUsers(names []byte) (users []string) {
	for name := range strings.FieldsSeq(string(names)) {
		if strings.HasPrefix(name, "chatuser.") {
			users = append(users, name)
		}
	}
	return users
}

// checkCluster makes sure that the cluster of KUBECONFIG is prepared; this program changes nothing there.
func (r *run) checkCluster(ctx context.Context) error {
	if _, err := r.kubectl.run(ctx, "get", "namespace", r.settings.namespace); err != nil {
		return fmt.Errorf("the cluster has no namespace %s or cannot be reached; `make install NAMESPACE=%s` makes it:\n%w", r.settings.namespace, r.settings.namespace, err)
	}
	files, err := filepath.Glob(filepath.Join(r.settings.config, "crd", "bases", "*.yaml"))
	if err != nil || len(files) == 0 {
		return errors.Join(err, fmt.Errorf("%s has no custom resources", r.settings.config))
	}
	for _, file := range files {
		if _, err := r.kubectl.run(ctx, "get", "--filename="+file); err != nil {
			return fmt.Errorf("the cluster lacks custom resources; `make install` puts them in:\n%w", err)
		}
	}
	return nil
}

// currentKubeconfig is the file that kubectl uses when nothing is said.
func currentKubeconfig() string {
	if path := os.Getenv("KUBECONFIG"); path != "" {
		return path
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return filepath.Join(home, ".kube", "config")
}
