package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	appsv1client "k8s.io/client-go/kubernetes/typed/apps/v1"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
)

// kubernetes is the cluster of the kubeconfig, and the namespace that was asked for.
type kubernetes struct {
	config    *rest.Config
	namespace string
	core      corev1client.CoreV1Interface
	apps      appsv1client.AppsV1Interface
	chat      rest.Interface
	codec     runtime.ParameterCodec
}

func (o *options) kubernetes() (*kubernetes, error) {
	namespace, _, err := o.kube.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return nil, fmt.Errorf("the kubeconfig cannot be used: %w", err)
	}
	config, err := o.kube.ToRESTConfig()
	if err != nil {
		return nil, fmt.Errorf("the kubeconfig cannot be used: %w", err)
	}
	config.UserAgent = "kubectl-chat/" + version
	// A command asks a handful of questions: nothing is gained by waiting between them.
	config.QPS = -1
	core, err := corev1client.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("the kubeconfig cannot be used: %w", err)
	}
	apps, err := appsv1client.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("the kubeconfig cannot be used: %w", err)
	}
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	forChat := rest.CopyConfig(config)
	forChat.APIPath = "/apis"
	forChat.GroupVersion = &v1alpha1.GroupVersion
	forChat.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	chat, err := rest.RESTClientFor(forChat)
	if err != nil {
		return nil, fmt.Errorf("the kubeconfig cannot be used: %w", err)
	}
	return &kubernetes{config: config, namespace: namespace, core: core, apps: apps, chat: chat, codec: runtime.NewParameterCodec(scheme)}, nil
}

// list reads all resources of a kind in the namespace.
func (k *kubernetes) list(ctx context.Context, resource, selector string, into runtime.Object) error {
	err := k.chat.Get().Namespace(k.namespace).Resource(resource).
		VersionedParams(&metav1.ListOptions{LabelSelector: selector}, k.codec).Do(ctx).Into(into)
	if err != nil {
		return k.explain("list "+resource, err)
	}
	return nil
}

type kind struct{ name, resource string }

// kinds are those of chat resources, with how addresses call them, in the order of tables.
func kinds() []kind {
	return []kind{{"ChatUser", "chatusers"}, {"ChatGroup", "chatgroups"}, {"ChatRoom", "chatrooms"}, {"SystemProperty", "systemproperties"}}
}

// chatResource is a resource of any of them, as far as they are alike.
type chatResource struct {
	kind string

	metav1.ObjectMeta `json:"metadata"`
	Status            struct {
		Conditions []metav1.Condition `json:"conditions"`
		JID        string             `json:"jid"` // of users and rooms
	} `json:"status"`
}

// chatResources reads the chat resources of a namespace, or of all namespaces where that is empty, in the order of kinds. A limit is that of each kind.
func (k *kubernetes) chatResources(ctx context.Context, namespace string, options metav1.ListOptions) ([]chatResource, error) {
	var all []chatResource
	for _, kind := range kinds() {
		answer := k.chat.Get().Namespace(namespace).Resource(kind.resource).VersionedParams(&options, k.codec).Do(ctx)
		if err := answer.Error(); err != nil {
			return nil, k.explain("list "+kind.resource, err)
		}
		text, err := answer.Raw()
		if err != nil {
			return nil, k.explain("list "+kind.resource, err)
		}
		var list struct {
			Items []chatResource `json:"items"`
		}
		if err := json.Unmarshal(text, &list); err != nil {
			return nil, k.explain("list "+kind.resource, err)
		}
		for i := range list.Items {
			list.Items[i].kind = kind.name
		}
		all = append(all, list.Items...)
	}
	return all, nil
}

// property is the SystemProperty by which the server goes for a key, nil where none declares it. Of several it is the one that the server says is in force;
// where it has not said so yet, the one that has the better claim: the oldest, and of those made in the same second the first by name.
func (k *kubernetes) property(ctx context.Context, key string) (*v1alpha1.SystemProperty, error) {
	var list v1alpha1.SystemPropertyList
	if err := k.list(ctx, "systemproperties", "", &list); err != nil {
		return nil, err
	}
	list.Items = slices.DeleteFunc(list.Items, func(p v1alpha1.SystemProperty) bool { return p.EffectiveKey() != key || p.DeletionTimestamp != nil })
	slices.SortFunc(list.Items, func(a, b v1alpha1.SystemProperty) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	for i := range list.Items {
		if p := &list.Items[i]; meta.IsStatusConditionTrue(p.Status.Conditions, v1alpha1.ConditionReady) {
			return p, nil
		}
	}
	if len(list.Items) == 0 {
		return nil, nil //nolint:nilnil // that none declares it is no failure
	}
	return &list.Items[0], nil
}

// explain says what could not be done and what would help.
func (k *kubernetes) explain(doing string, err error) error {
	var op *net.OpError
	switch {
	case apierrors.IsForbidden(err):
		return fmt.Errorf("your Kubernetes user may not %s in namespace %q: who administers it can bind the ClusterRole view or edit to you (%w)", doing, k.namespace, err)
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("the Kubernetes API server %s does not know you: log in again (%w)", k.config.Host, err)
	case meta.IsNoMatchError(err), isNoKind(err):
		return fmt.Errorf("the cluster has no chat resources (%s): install chat-operator first, or choose another cluster with --context", v1alpha1.Group)
	case errors.As(err, &op):
		return fmt.Errorf("the Kubernetes API server %s cannot be reached: check --context and --kubeconfig (%w)", k.config.Host, err)
	}
	return fmt.Errorf("%s in namespace %q: %w", doing, k.namespace, err)
}

// isNoKind tells the answer of an API server that does not have the kind from that of one that does not have the resource: only the
// latter names what was asked for.
func isNoKind(err error) bool {
	var status apierrors.APIStatus
	return apierrors.IsNotFound(err) && errors.As(err, &status) && (status.Status().Details == nil || status.Status().Details.Name == "")
}

// notLookedAt is the message of a resource that has no condition.
const notLookedAt = "the operator has not looked at it yet: is it running?"

// readiness is condition Ready of a resource as a table shows it.
func readiness(conditions []metav1.Condition) (status, reason, message string, since metav1.Time) {
	if c := meta.FindStatusCondition(conditions, v1alpha1.ConditionReady); c != nil {
		return string(c.Status), c.Reason, c.Message, c.LastTransitionTime
	}
	return string(metav1.ConditionUnknown), v1alpha1.ReasonPending, notLookedAt, metav1.Time{}
}
