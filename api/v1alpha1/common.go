package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// InBandPolicy says whether chat clients and the REST API may change what a resource declares.
// +kubebuilder:validation:Enum=Deny;Force
type InBandPolicy string

const (
	// InBandPolicyDeny refuses every change from inside.
	InBandPolicyDeny InBandPolicy = "Deny"
	// InBandPolicyForce lets every change from inside win, whoever declared the field.
	InBandPolicyForce InBandPolicy = "Force"
)

// DeletionPolicy says what becomes of the remembered data when a resource is deleted.
// +kubebuilder:validation:Enum=Delete;Retain
type DeletionPolicy string

const (
	// DeletionPolicyDelete purges the data once accounts.purgeDelay has passed.
	DeletionPolicyDelete DeletionPolicy = "Delete"
	// DeletionPolicyRetain keeps the data for good.
	DeletionPolicyRetain DeletionPolicy = "Retain"
)

// LocalSecretReference names a Secret in the namespace of the resource that refers to it.
type LocalSecretReference struct {
	// name of the Secret, in this namespace. The Secret may be created before or after the resource that names it.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`
}

// SecretKeyReference names one key of a Secret in the namespace of the resource that refers to it.
type SecretKeyReference struct {
	// name of the Secret, in this namespace. The Secret may be created before or after the resource that names it.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`

	// key in the Secret's data whose value is taken, byte for byte (mind a line feed at the end).
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Key string `json:"key,omitempty"`
}

// Property is a free key and value that the server keeps for programs; it means nothing to the server itself.
type Property struct {
	// key of the property, exact and case-sensitive, at most 255 characters, for example "console.order".
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	Key string `json:"key,omitempty"`

	// value of the property: any text of at most 4,096 characters. Absent means empty.
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	Value *string `json:"value,omitempty"`
}

// CommonStatus is what the operator reports about a resource of any kind.
type CommonStatus struct {
	// conditions tell how the resource stands. "Ready" is the sum: True (reason Active) when the server works by this
	// resource. Each message of one that isn't True ends in what to do. "kubectl wait --for=condition=Ready" waits for it.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +patchStrategy=merge
	// +patchMergeKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty" patchStrategy:"merge" patchMergeKey:"type"`

	// observedGeneration is the metadata.generation that this status speaks of; -1 until the operator has looked at the
	// resource for the first time.
	// +optional
	// +kubebuilder:validation:Minimum=-1
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// createdAt is when it came into being: the time in the annotation chat-operator.io/created-at (set by imports), else the
	// creation of this resource.
	// +optional
	CreatedAt *metav1.Time `json:"createdAt,omitempty"`

	// modifiedAt is when the operator last saw the spec change.
	// +optional
	ModifiedAt *metav1.Time `json:"modifiedAt,omitempty"`
}
