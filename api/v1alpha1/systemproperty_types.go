package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// SystemPropertySpec declares a setting of the server.
// +kubebuilder:validation:XValidation:rule="has(self.value) != has(self.valueFrom)",message="give the property either value or valueFrom.secretKeyRef: exactly one of the two"
type SystemPropertySpec struct {
	// key of the property, exact and case-sensitive, at most 255 characters. Absent, it is metadata.name. It cannot be changed later.
	// Where it can be a resource name (a lower-case DNS subdomain of at most 200 characters), metadata.name has to be the same.
	// Example: "plugin.restapi.httpAuth". Keys that the server does not know are kept for programs that do.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:XValidation:rule="self.matches('^[^\\\\x00-\\\\x1f\\\\x7f]+$')",message="a property key has no control characters such as tabs and line feeds"
	Key *string `json:"key,omitempty"`

	// value of the property as text, at most 32,768 characters; durations are written like 168h or 90s, switches true or false, lists with
	// commas. Exactly one of value and valueFrom is given. For anything secret use valueFrom.
	// +optional
	// +kubebuilder:validation:MaxLength=32768
	Value *string `json:"value,omitempty"`

	// valueFrom takes the value from a Secret, and follows it. Such values are never shown.
	// +optional
	ValueFrom *PropertySource `json:"valueFrom,omitempty"`

	// inBandPolicy says whether chat clients and the REST API may change this property. Absent: they may change what nobody
	// declared from outside (by kubectl apply, Helm, Argo CD, Flux, ...). Deny: they may change nothing. Force: they may change
	// everything, and the next apply from outside reports a conflict.
	// +optional
	InBandPolicy *InBandPolicy `json:"inBandPolicy,omitempty"`
}

// PropertySource says where the value of a property comes from.
type PropertySource struct {
	// secretKeyRef names the Secret and the key in it that hold the value.
	// +required
	SecretKeyRef SecretKeyReference `json:"secretKeyRef,omitzero"`
}

// SystemPropertyStatus is what the operator reports about a property.
type SystemPropertyStatus struct {
	CommonStatus `json:",inline"`

	// key of the property as the server knows it.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	Key *string `json:"key,omitempty"`
}

// SystemProperty is a setting of the chat server that this namespace is. The reference lists the keys that the server acts on, each
// with type, default and effect; any other key is stored and served back by the REST API.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,path=systemproperties,shortName=sysprop,categories=chat
// +kubebuilder:validation:XValidation:rule="(has(self.spec.key) ? self.spec.key : self.metadata.name) == (has(oldSelf.spec.key) ? oldSelf.spec.key : oldSelf.metadata.name)",message="the key of a property cannot be changed: create another SystemProperty and delete this one",fieldPath=".spec.key",reason=FieldValueForbidden
// +kubebuilder:validation:XValidation:rule="has(self.spec.key) || !self.metadata.name.matches('(^|-)x[a-z2-7]{26}$')",message="a resource name that ends in x and 26 characters is reserved for encoded names: give spec.key, or choose another metadata.name",fieldPath=".spec.key",reason=FieldValueRequired
// +kubebuilder:validation:XValidation:rule="!has(self.spec.key) || self.spec.key == self.metadata.name || size(self.spec.key) > 200 || !self.spec.key.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$') || self.spec.key.matches('(^|-)x[a-z2-7]{26}$')",message="metadata.name has to be the same as spec.key where that can be a resource name: change metadata.name, or leave spec.key out",fieldPath=".spec.key"
// +kubebuilder:printcolumn:name="Key",type=string,JSONPath=`.status.key`,description="Key of the property"
// +kubebuilder:printcolumn:name="Value",type=string,JSONPath=`.spec.value`,description="Value, unless it comes from a Secret"
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`,description="Whether the value is in force"
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`,description="Why it is, or is not"
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type SystemProperty struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is standard Kubernetes metadata. Its name is the property's key, unless spec.key says otherwise.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec declares the property.
	// +required
	Spec SystemPropertySpec `json:"spec"`

	// status is what the operator reports.
	// +optional
	// +kubebuilder:default:={"observedGeneration":-1}
	Status SystemPropertyStatus `json:"status,omitzero"`
}

// SystemPropertyList is a list of SystemProperties.
// +kubebuilder:object:root=true
type SystemPropertyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []SystemProperty `json:"items"`
}
