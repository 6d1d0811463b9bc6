package controllers_test

import (
	"context"
	"errors"

	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/types"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/chat-operator/chat-operator/controllers"
	"github.com/chat-operator/chat-operator/xmpp/directory"
)

// restActor is who proposes in these tests.
var restActor = directory.Actor{Via: "REST", Name: "test", Address: "127.0.0.1"}

func newUser(name, password string) directory.NewUser {
	return directory.NewUser{Username: name, Password: password}
}

// beUnavailable is the refusal while the API server is away.
func beUnavailable() types.GomegaMatcher {
	return WithTransform(func(err error) bool {
		var unavailable *directory.UnavailableError
		return errors.As(err, &unavailable) && unavailable.RetryAfter > 0
	}, BeTrue())
}

func clusterNamespace(ctx context.Context, name string) (*corev1.Namespace, error) {
	var ns corev1.Namespace
	return &ns, kube.Get(ctx, client.ObjectKey{Name: name}, &ns)
}

// liveClient is a client of its own with the operator's rights.
func liveClient(op *operator) client.Client {
	c, err := controllers.NewLiveClient(op.user.Config)
	Expect(err).NotTo(HaveOccurred())
	return c
}
