package transfer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/controllers/provision"
	"github.com/chat-operator/chat-operator/xmpp/directory"
)

// kinds are the folders of manifests, in the order in which they are read in: what others name comes first where it can.
const (
	kindSecrets    = "secrets"
	kindUsers      = "chatusers"
	kindGroups     = "chatgroups"
	kindRooms      = "chatrooms"
	kindProperties = "systemproperties"
)

// resources are the chat resources of a namespace and the Secrets that belong to them, each by its name.
type resources struct {
	Users      map[string]*v1alpha1.ChatUser
	Groups     map[string]*v1alpha1.ChatGroup
	Rooms      map[string]*v1alpha1.ChatRoom
	Properties map[string]*v1alpha1.SystemProperty
	Secrets    map[string]*corev1.Secret
}

func newResources() *resources {
	return &resources{
		Users: map[string]*v1alpha1.ChatUser{}, Groups: map[string]*v1alpha1.ChatGroup{}, Rooms: map[string]*v1alpha1.ChatRoom{},
		Properties: map[string]*v1alpha1.SystemProperty{}, Secrets: map[string]*corev1.Secret{},
	}
}

// count is how many resources there are.
func (r *resources) count() int {
	return len(r.Users) + len(r.Groups) + len(r.Rooms) + len(r.Properties) + len(r.Secrets)
}

// pageSize bounds the resources of one answer: an export runs beside a server, within the memory that is given to it.
const pageSize = 500

// readNamespace lists what there is in a namespace. All Secrets that may hold credentials are in it: which belong to chat resources is told by
// belonging.
func readNamespace(ctx context.Context, live client.Reader, namespace string) (*resources, error) {
	return readPages(ctx, live, namespace, pageSize)
}

func readPages(ctx context.Context, live client.Reader, namespace string, size int64) (*resources, error) {
	r := newResources()
	// Helm's releases are large, and there are many.
	secrets := client.MatchingFieldsSelector{Selector: fields.OneTermNotEqualSelector("type", "helm.sh/release.v1")}
	for _, kind := range []struct {
		name    string
		list    client.ObjectList
		options []client.ListOption
	}{
		{"ChatUsers", &v1alpha1.ChatUserList{}, nil}, {"ChatGroups", &v1alpha1.ChatGroupList{}, nil}, {"ChatRooms", &v1alpha1.ChatRoomList{}, nil},
		{"SystemProperties", &v1alpha1.SystemPropertyList{}, nil}, {"Secrets", &corev1.SecretList{}, []client.ListOption{secrets}},
	} {
		next := ""
		for {
			page := kind.list.DeepCopyObject().(client.ObjectList)
			options := append([]client.ListOption{client.InNamespace(namespace), client.Limit(size), client.Continue(next)}, kind.options...)
			if err := live.List(ctx, page, options...); err != nil {
				return nil, fmt.Errorf("listing the %s of namespace %q: %w", kind.name, namespace, err)
			}
			r.keep(page)
			if next = page.GetContinue(); next == "" {
				break
			}
		}
	}
	return r, nil
}

// keep takes the resources of a page over.
func (r *resources) keep(page client.ObjectList) {
	switch list := page.(type) {
	case *v1alpha1.ChatUserList:
		keepAll(r.Users, list.Items)
	case *v1alpha1.ChatGroupList:
		keepAll(r.Groups, list.Items)
	case *v1alpha1.ChatRoomList:
		keepAll(r.Rooms, list.Items)
	case *v1alpha1.SystemPropertyList:
		keepAll(r.Properties, list.Items)
	case *corev1.SecretList:
		keepAll(r.Secrets, list.Items)
	}
}

// keepAll puts objects under their names, without what the API server notes down of who wrote them.
func keepAll[T any, P interface {
	*T
	client.Object
}](into map[string]P, items []T) {
	for i := range items {
		o := P(&items[i])
		o.SetManagedFields(nil)
		into[o.GetName()] = o
	}
}

// belonging reduces the Secrets to those that the resources name, that were made for them, and the installation's own.
func (r *resources) belonging(installation string) {
	named := map[string]bool{installation: true}
	for _, u := range r.Users {
		if u.Spec.Credentials != nil {
			named[u.Spec.Credentials.SecretRef.Name] = true
		} else if name := provision.GeneratedSecretName(u.Name); r.Secrets[name] != nil && provision.OwnerOf(r.Secrets[name]) == string(u.UID) {
			named[name] = true
		}
	}
	for _, room := range r.Rooms {
		if room.Spec.PasswordSecretRef != nil {
			named[room.Spec.PasswordSecretRef.Name] = true
		}
	}
	for _, p := range r.Properties {
		if p.Spec.ValueFrom != nil {
			named[p.Spec.ValueFrom.SecretKeyRef.Name] = true
		}
	}
	maps.DeleteFunc(r.Secrets, func(name string, s *corev1.Secret) bool {
		return !named[name] && s.Labels[v1alpha1.RESTSecretLabel] != "true"
	})
}

// withoutSecrets takes away all credentials: Secrets, and values that are secret and stand in a resource nevertheless.
func (r *resources) withoutSecrets(note func(string)) {
	clear(r.Secrets)
	for name, p := range r.Properties {
		if setting, ok := directory.SettingOf(p.EffectiveKey()); !ok || !setting.Secret {
			continue
		}
		// What was applied once may have had a value in it, too.
		delete(p.Annotations, corev1.LastAppliedConfigAnnotation)
		if p.Spec.Value != nil {
			// One without a value is no SystemProperty.
			delete(r.Properties, name)
			note(fmt.Sprintf("SystemProperty %s is left out, since its value is secret and stands in it: a Secret that valueFrom names is the place for it", name))
		}
	}
}

// portable takes away what only means something in the cluster that a resource comes from. It reports what cannot be said in a manifest.
func (r *resources) portable(note func(string)) {
	for _, u := range r.Users {
		for _, name := range []string{v1alpha1.RenamedFromAnnotation, v1alpha1.RenamedByAnnotation, v1alpha1.RenamedToAnnotation, v1alpha1.AwaitsAnnotation} {
			if _, ok := u.Annotations[name]; ok {
				note(fmt.Sprintf("ChatUser %s is being renamed: both its names are in the export; make another one once that is done", u.Name))
				delete(u.Annotations, name)
			}
		}
		datedMeta(u)
		u.Status = v1alpha1.ChatUserStatus{}
	}
	for _, g := range r.Groups {
		datedMeta(g)
		g.Status = v1alpha1.ChatGroupStatus{}
	}
	for _, room := range r.Rooms {
		datedMeta(room)
		room.Status = v1alpha1.ChatRoomStatus{}
	}
	for _, p := range r.Properties {
		portableMeta(p)
		p.Status = v1alpha1.SystemPropertyStatus{}
	}
	for _, s := range r.Secrets {
		portableMeta(s)
		delete(s.Annotations, v1alpha1.ConfirmPurgeAnnotation)
	}
}

// datedMeta keeps when something came into being, which the resource that is made of it will not tell by itself.
func datedMeta(o client.Object) {
	made := o.GetCreationTimestamp()
	if _, ok := o.GetAnnotations()[v1alpha1.CreatedAtAnnotation]; !ok && !made.IsZero() {
		annotations := o.GetAnnotations()
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations[v1alpha1.CreatedAtAnnotation] = made.UTC().Format(time.RFC3339)
		o.SetAnnotations(annotations)
	}
	portableMeta(o)
}

// portableMeta keeps name, labels and annotations of an object.
func portableMeta(o client.Object) {
	meta := metav1.ObjectMeta{Name: o.GetName(), Labels: o.GetLabels(), Annotations: o.GetAnnotations()}
	if len(meta.Annotations) == 0 {
		meta.Annotations = nil
	}
	switch t := o.(type) {
	case *v1alpha1.ChatUser:
		t.ObjectMeta, t.TypeMeta = meta, typeMeta("ChatUser")
	case *v1alpha1.ChatGroup:
		t.ObjectMeta, t.TypeMeta = meta, typeMeta("ChatGroup")
	case *v1alpha1.ChatRoom:
		t.ObjectMeta, t.TypeMeta = meta, typeMeta("ChatRoom")
	case *v1alpha1.SystemProperty:
		t.ObjectMeta, t.TypeMeta = meta, typeMeta("SystemProperty")
	case *corev1.Secret:
		t.ObjectMeta, t.TypeMeta = meta, metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}
	}
}

func typeMeta(kind string) metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: kind}
}

// each hands out the resources in the order in which they are made, with the folder of each.
func (r *resources) each(do func(folder string, o client.Object) error) error {
	var err error
	visit := func(folder string, o client.Object) {
		if err == nil {
			err = do(folder, o)
		}
	}
	for _, s := range sorted(r.Secrets) {
		visit(kindSecrets, s)
	}
	for _, u := range sorted(r.Users) {
		visit(kindUsers, u)
	}
	for _, g := range sorted(r.Groups) {
		visit(kindGroups, g)
	}
	for _, room := range sorted(r.Rooms) {
		visit(kindRooms, room)
	}
	for _, p := range sorted(r.Properties) {
		visit(kindProperties, p)
	}
	return err
}

func sorted[T any](m map[string]T) []T {
	list := make([]T, 0, len(m))
	for _, name := range slices.Sorted(maps.Keys(m)) {
		list = append(list, m[name])
	}
	return list
}

// write puts a manifest for each resource.
func (r *resources) write(s sink, done func()) error {
	return r.each(func(folder string, o client.Object) error {
		content, err := manifest(o)
		if err != nil {
			return fmt.Errorf("writing the manifest of %s %q: %w", kindOf(o), o.GetName(), err)
		}
		done()
		return s.put(manifestsDir+"/"+folder+"/"+fileName(o.GetName())+".yaml", content)
	})
}

// manifest is a resource as YAML, without what the API server writes.
func manifest(o client.Object) ([]byte, error) {
	content, err := yaml.Marshal(o)
	if err != nil {
		return nil, err
	}
	var said map[string]any
	if err := yaml.Unmarshal(content, &said); err != nil {
		return nil, err
	}
	delete(said, "status")
	if meta, ok := said["metadata"].(map[string]any); ok {
		delete(meta, "creationTimestamp")
	}
	if _, ok := said["spec"]; !ok && said["kind"] != "Secret" {
		said["spec"] = map[string]any{}
	}
	return yaml.Marshal(said)
}

// parseManifest reads one resource of a kind that exports have. A field that is not known is an error: it may have been meant to do something.
func parseManifest(content []byte) (client.Object, error) {
	var meta metav1.TypeMeta
	if err := yaml.Unmarshal(content, &meta); err != nil {
		return nil, err
	}
	var o client.Object
	group := v1alpha1.GroupVersion.String()
	switch (metav1.TypeMeta{Kind: meta.Kind, APIVersion: meta.APIVersion}) {
	case metav1.TypeMeta{Kind: "ChatUser", APIVersion: group}:
		o = &v1alpha1.ChatUser{}
	case metav1.TypeMeta{Kind: "ChatGroup", APIVersion: group}:
		o = &v1alpha1.ChatGroup{}
	case metav1.TypeMeta{Kind: "ChatRoom", APIVersion: group}:
		o = &v1alpha1.ChatRoom{}
	case metav1.TypeMeta{Kind: "SystemProperty", APIVersion: group}:
		o = &v1alpha1.SystemProperty{}
	case metav1.TypeMeta{Kind: "Secret", APIVersion: "v1"}:
		o = &corev1.Secret{}
	default:
		return nil, fmt.Errorf("%s of %s is no kind that is read in", cmp.Or(meta.Kind, "a nameless kind"), cmp.Or(meta.APIVersion, "no group"))
	}
	if err := yaml.UnmarshalStrict(content, o); err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "error unmarshaling JSON: "))
	}
	if o.GetName() == "" {
		return nil, errors.New("it has no metadata.name")
	}
	if secret, ok := o.(*corev1.Secret); ok {
		// As the API server does: what is compared and replaced is data.
		for key, value := range secret.StringData {
			if secret.Data == nil {
				secret.Data = map[string][]byte{}
			}
			secret.Data[key] = []byte(value)
		}
		secret.StringData = nil
	}
	return o, nil
}

// add puts a resource among the others; false: one of that kind and name is there.
func (r *resources) add(o client.Object) bool {
	portableMeta(o)
	switch t := o.(type) {
	case *v1alpha1.ChatUser:
		return addTo(r.Users, t)
	case *v1alpha1.ChatGroup:
		return addTo(r.Groups, t)
	case *v1alpha1.ChatRoom:
		return addTo(r.Rooms, t)
	case *v1alpha1.SystemProperty:
		return addTo(r.Properties, t)
	case *corev1.Secret:
		return addTo(r.Secrets, t)
	}
	return false
}

func addTo[T client.Object](m map[string]T, o T) bool {
	_, there := m[o.GetName()]
	m[o.GetName()] = o
	return !there
}
