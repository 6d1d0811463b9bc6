// Package v1alpha1 holds the four resources by which a chat server is declared: ChatUser, ChatGroup, ChatRoom and
// SystemProperty, all of group chat-operator.io and all namespaced, since a namespace is a chat server.
//
// The package knows the shape of the resources, the rules the API server checks at admission (CEL beside the
// field), the vocabulary of their conditions, how a chat name becomes a resource name, and what an absent field means.
// It knows nothing of XMPP, of clients or of controllers, and it refuses to learn it.
//
// +kubebuilder:object:generate=true
// +groupName=chat-operator.io
package v1alpha1
