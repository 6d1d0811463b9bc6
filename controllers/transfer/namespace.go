package transfer

import (
	"context"
	"fmt"
	"os"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/chat-operator/chat-operator/xmpp/store"
)

// NamespaceUsage says what the flag --namespace is without a value.
const NamespaceUsage = "empty: POD_NAMESPACE, else that of the kubeconfig's current context or of the Pod, else chat"

// podNamespace is where a Pod finds the namespace of its ServiceAccount.
const podNamespace = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// DefaultNamespace is the namespace of the chat server where nobody names one. The cluster that it is in is the one that is connected to, and so
// kubeconfig is the flag's, which may be empty.
func DefaultNamespace(kubeconfig string) string {
	if namespace := os.Getenv("POD_NAMESPACE"); namespace != "" {
		return namespace
	}
	namespace := ""
	if _, err := rest.InClusterConfig(); err == nil && kubeconfig == "" && os.Getenv(clientcmd.RecommendedConfigPathEnvVar) == "" {
		content, _ := os.ReadFile(podNamespace) // without one, it is like a kubeconfig that names none
		namespace = strings.TrimSpace(string(content))
	} else {
		rules := clientcmd.NewDefaultClientConfigLoadingRules()
		rules.ExplicitPath = kubeconfig
		// One that cannot be read is reported by whoever connects.
		if raw, err := rules.Load(); err == nil && raw.Contexts[raw.CurrentContext] != nil {
			namespace = raw.Contexts[raw.CurrentContext].Namespace
		}
	}
	if namespace == "" {
		return "chat"
	}
	return namespace
}

// checkNamespace refuses a namespace that is not there. Who may not see namespaces is told by each resource.
func checkNamespace(ctx context.Context, live client.Reader, namespace, remedy string) error {
	err := live.Get(ctx, client.ObjectKey{Name: namespace}, &corev1.Namespace{})
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("there is no namespace %q: %s", namespace, remedy)
	}
	return nil
}

// checkRelated refuses a namespace and a database that have nothing to do with each other: an export of them would be one of nothing, or of two halves.
func (e *exporter) checkRelated(ctx context.Context) error {
	if e.anyNamespace {
		return nil
	}
	uids := map[string]bool{"": true} // of data that was read in before its resource
	for _, u := range e.declared.Users {
		uids[string(u.UID)] = true
	}
	for _, r := range e.declared.Rooms {
		uids[string(r.UID)] = true
	}
	known, here := 0, 0
	if err := e.snapshot.Rows(ctx, tableIdentity, "state", string(store.Active), func(row store.Row) error {
		if keepsData(row["kind"].(string)) {
			if known++; uids[row["uid"].(string)] {
				here++
			}
		}
		return nil
	}); err != nil {
		return err
	}
	if known > 0 && here == 0 {
		return e.unrelated(fmt.Sprintf("declared users and rooms (%d)", known))
	}
	declared := e.declared.count() - len(e.declared.Secrets)
	if declared > 0 || e.declared.Secrets[e.secretName] != nil {
		return nil
	}
	for _, c := range carriers() {
		if c.how == notCarried {
			continue
		}
		n, err := e.snapshot.Count(ctx, c.table)
		if err != nil {
			return err
		}
		if n > 0 {
			return e.unrelated(label(c.table))
		}
	}
	e.notes.add(fmt.Sprintf("there is nothing in the export: neither a chat resource in namespace %q, nor anything that a server remembers in %s", e.namespace, e.database))
	return nil
}

func (e *exporter) unrelated(what string) error {
	return fmt.Errorf("the database %s has %s, and no resource of them is in namespace %q: name the namespace of its server with --namespace, "+
		"or the folder of this one's with --data-dir; --any-namespace exports the two as they are", e.database, what, e.namespace)
}
