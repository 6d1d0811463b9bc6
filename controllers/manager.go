package controllers

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	crcache "sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
)

// ManagerOptions is what an installation decides about the manager.
type ManagerOptions struct {
	Namespace string
	// MetricsBindAddress switches the server off by "0".
	MetricsBindAddress string
	Log                logr.Logger
}

// stopWithin is how long everything may take to end in an orderly way.
const stopWithin = 15 * time.Second

// NewManager makes the manager of one namespace: its cache holds the chat resources and
// Secrets of that namespace, reduced to what is needed, and nothing else.
func NewManager(config *rest.Config, o ManagerOptions) (manager.Manager, error) {
	scheme, err := newScheme()
	if err != nil {
		return nil, err
	}
	c, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, err
	}
	keep := keepOfResources()
	lists, err := newStreamedLists(config, c, scheme, o.Namespace, keep)
	if err != nil {
		return nil, fmt.Errorf("preparing the lists of chat resources: %w", err)
	}
	return manager.New(config, manager.Options{
		Scheme:         scheme,
		MapperProvider: func(*rest.Config, *http.Client) (meta.RESTMapper, error) { return newMapper(), nil },
		Logger:         o.Log,
		Cache: crcache.Options{
			DefaultNamespaces: map[string]crcache.Config{o.Namespace: {}},
			DefaultTransform:  keep,
			ByObject: map[client.Object]crcache.ByObject{
				&corev1.Secret{}: {Field: secretSelector(), Transform: keepOfSecret},
			},
			// Only what is registered before the start is watched.
			ReaderFailOnMissingInformer: true,
			NewInformer:                 patientInformer(lists, o.Log.WithName("watch")),
		},
		Client:                  client.Options{FieldOwner: v1alpha1.FieldManager},
		LeaderElection:          false,
		Metrics:                 metricsserver.Options{BindAddress: o.MetricsBindAddress},
		HealthProbeBindAddress:  "0", // the program answers probes itself
		GracefulShutdownTimeout: new(stopWithin),
	})
}

// NewLiveClient makes a client that asks the API server itself.
func NewLiveClient(config *rest.Config) (client.Client, error) {
	scheme, err := newScheme()
	if err != nil {
		return nil, err
	}
	return client.New(config, client.Options{Scheme: scheme, Mapper: newMapper(), FieldOwner: v1alpha1.FieldManager})
}

func newScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	for _, add := range []func(*runtime.Scheme) error{authenticationv1.AddToScheme, authorizationv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("registering the chat resources: %w", err)
	}
	return scheme, nil
}

// newMapper knows the few kinds that are used, so that no discovery is asked, not
// even at a start for which the API server keeps us waiting.
func newMapper() meta.RESTMapper {
	mapper := meta.NewDefaultRESTMapper([]schema.GroupVersion{v1alpha1.GroupVersion, corev1.SchemeGroupVersion})
	mapper.AddSpecific(authenticationv1.SchemeGroupVersion.WithKind("TokenReview"), authenticationv1.SchemeGroupVersion.WithResource("tokenreviews"),
		authenticationv1.SchemeGroupVersion.WithResource("tokenreview"), meta.RESTScopeRoot)
	mapper.AddSpecific(authorizationv1.SchemeGroupVersion.WithKind("SubjectAccessReview"), authorizationv1.SchemeGroupVersion.WithResource("subjectaccessreviews"),
		authorizationv1.SchemeGroupVersion.WithResource("subjectaccessreview"), meta.RESTScopeRoot)
	mapper.AddSpecific(corev1.SchemeGroupVersion.WithKind("Namespace"), corev1.SchemeGroupVersion.WithResource("namespaces"),
		corev1.SchemeGroupVersion.WithResource("namespace"), meta.RESTScopeRoot)
	add := func(version schema.GroupVersion, kind, plural string) {
		// A multi-namespace cache looks the scope of lists up as well.
		for _, k := range []string{kind, kind + "List"} {
			mapper.AddSpecific(version.WithKind(k), version.WithResource(plural), version.WithResource(strings.ToLower(kind)), meta.RESTScopeNamespace)
		}
	}
	add(v1alpha1.GroupVersion, "ChatUser", "chatusers")
	add(v1alpha1.GroupVersion, "ChatGroup", "chatgroups")
	add(v1alpha1.GroupVersion, "ChatRoom", "chatrooms")
	add(v1alpha1.GroupVersion, "SystemProperty", "systemproperties")
	add(corev1.SchemeGroupVersion, "Secret", "secrets")
	return mapper
}
