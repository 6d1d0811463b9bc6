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
	return r.waitGranted(ctx)
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

// waitGranted waits until the API server has taken up the operator's rights, which happens a moment after they are stored.
func (r *run) waitGranted(ctx context.Context) error {
	user := "system:serviceaccount:" + r.settings.namespace + ":" + serviceAccount
	for {
		_, err := r.kubectl.run(ctx, "auth", "can-i", "get", "secrets", "--as="+user)
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

// samplesApplied is the annotation of a namespace that has had the samples: what somebody has deleted or changed of them stays so.
const samplesApplied = "run.chat-operator.io/samples-applied"

// wantsSamples reports whether the samples are wanted and have not been applied yet. Who begins without an operator is about to read something in,
// and nothing shall be in its way.
func (r *run) wantsSamples(ctx context.Context) (bool, error) {
	if !r.settings.samples || r.settings.controlPlaneOnly {
		return false, nil
	}
	var namespace struct {
		Metadata struct {
			Annotations map[string]string `json:"annotations"`
		} `json:"metadata"`
	}
	if err := r.kubectl.get(ctx, &namespace, "namespace", r.settings.namespace); err != nil {
		return false, err
	}
	return namespace.Metadata.Annotations[samplesApplied] == "", nil
}

func (r *run) samplesDir() string { return filepath.Join(r.settings.config, "samples") }

// applySamples applies config/samples and remembers that, and which users are among them.
func (r *run) applySamples(ctx context.Context) error {
	out, err := r.kubectl.run(ctx, "apply", "--output=name", "--kustomize="+r.samplesDir())
	if err != nil {
		return err
	}
	r.applied = chatUsers(out)
	_, err = r.kubectl.run(ctx, "annotate", "--overwrite", "namespace", r.settings.namespace, samplesApplied+"=true")
	return err
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
