package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Group is the API group of all resources of this package.
const Group = "chat-operator.io"

// OldestKubernetes is the oldest minor release of Kubernetes whose API server takes these resources: CEL validation is
// stable there, and every field the definitions use exists. A test compiles all rules for it.
const OldestKubernetes = "1.29"

// GroupVersion is the group and version of all resources of this package.
var GroupVersion = schema.GroupVersion{Group: Group, Version: "v1alpha1"}

// AddToScheme makes the resources of this package known to a scheme.
func AddToScheme(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion,
		&ChatUser{}, &ChatUserList{},
		&ChatGroup{}, &ChatGroupList{},
		&ChatRoom{}, &ChatRoomList{},
		&SystemProperty{}, &SystemPropertyList{},
	)
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
