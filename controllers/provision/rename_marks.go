package provision

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/xmpp/directory"
)

// awaited is what the annotation awaits says.
type awaited struct {
	name, uid string
	// generation is that of the old account that the new one is a copy of.
	generation string
	// going says that the old one is being deleted by the rename.
	going bool
}

const going = "going"

func awaiting(old *v1alpha1.ChatUser) string {
	return fmt.Sprintf("%s/%s/%d", old.Name, old.UID, old.Generation)
}

func readAwaited(user *v1alpha1.ChatUser) awaited {
	fields := strings.Split(user.Annotations[v1alpha1.AwaitsAnnotation]+"///", "/")
	return awaited{name: fields[0], uid: fields[1], generation: fields[2], going: fields[3] == going}
}

func (a awaited) is(old *v1alpha1.ChatUser) bool {
	return a.name == old.Name && a.uid == string(old.UID)
}

// seal says that an account takes the place of another, in a way that nobody else can: whoever may write a ChatUser may not, by that, have groups and
// rooms changed.
func (p *Provisioner) seal(from, uid, to string) string {
	return from + " " + uid + " " + p.authenticate("renamed-from", from, uid, to)
}

func (p *Provisioner) authenticate(parts ...string) string {
	mac := hmac.New(sha256.New, p.key)
	for _, s := range parts {
		mac.Write([]byte(s))
		mac.Write([]byte{0})
	}
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

// asker is who asked for a rename, as the annotation renamed-by has it.
type asker struct {
	Via     string `json:"via"`
	Name    string `json:"name"`
	Address string `json:"address,omitempty"`
	Seal    string `json:"seal"`
}

func (p *Provisioner) sealActor(by directory.Actor, uid, to string) string {
	text, err := json.Marshal(asker{by.Via, by.Name, by.Address, p.authenticate("renamed-by", by.Via, by.Name, by.Address, uid, to)})
	if err != nil {
		return "" // cannot be: they are texts
	}
	return string(text)
}

// askedBy reads what sealActor wrote; the zero Actor when somebody else did.
func (p *Provisioner) askedBy(user *v1alpha1.ChatUser, uid string) directory.Actor {
	var a asker
	if err := json.Unmarshal([]byte(user.Annotations[v1alpha1.RenamedByAnnotation]), &a); err != nil ||
		!hmac.Equal([]byte(a.Seal), []byte(p.authenticate("renamed-by", a.Via, a.Name, a.Address, uid, user.EffectiveUsername()))) {
		return directory.Actor{}
	}
	return directory.Actor{Via: a.Via, Name: a.Name, Address: a.Address}
}

// unseal reads what seal wrote.
func (p *Provisioner) unseal(user *v1alpha1.ChatUser) (from, uid string, ok bool) {
	text := user.Annotations[v1alpha1.RenamedFromAnnotation]
	fields := strings.Fields(text)
	if len(fields) != 3 {
		return "", "", false
	}
	from, uid = fields[0], fields[1]
	return from, uid, hmac.Equal([]byte(text), []byte(p.seal(from, uid, user.EffectiveUsername())))
}

// ErrForged says that a ChatUser has an annotation that this installation did not write.
var ErrForged = errors.New("the annotation " + v1alpha1.RenamedFromAnnotation + " was not written by this installation: remove it, and " + v1alpha1.AwaitsAnnotation)

// Forged says whether a ChatUser only pretends to take the place of another.
func (p *Provisioner) Forged(user *v1alpha1.ChatUser) bool {
	_, marked := user.Annotations[v1alpha1.RenamedFromAnnotation]
	_, _, ok := p.unseal(user)
	return !ok && (marked || user.Annotations[v1alpha1.AwaitsAnnotation] != "")
}

// Replaces has it known that a ChatUser is deleted by this, though perhaps by a process before this one, when another takes its place.
func (p *Provisioner) Replaces(user *v1alpha1.ChatUser) {
	if _, uid, ok := p.unseal(user); ok && (user.Annotations[v1alpha1.AwaitsAnnotation] == "" || readAwaited(user).going) {
		p.deletions.note(types.UID(uid))
	}
}

// mark sets an annotation of that life of a ChatUser, or takes it away.
func (p *Provisioner) mark(ctx context.Context, user *v1alpha1.ChatUser, annotation string, value *string) error {
	return p.annotate(ctx, user, map[string]any{annotation: value})
}

// unmark takes away that a ChatUser was called otherwise.
func (p *Provisioner) unmark(ctx context.Context, user *v1alpha1.ChatUser) error {
	return p.annotate(ctx, user, map[string]any{v1alpha1.RenamedFromAnnotation: nil, v1alpha1.RenamedByAnnotation: nil})
}

func (p *Provisioner) annotate(ctx context.Context, user *v1alpha1.ChatUser, annotations map[string]any) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": user.UID, "annotations": annotations}})
	if err != nil {
		return err
	}
	return explain(p.patch(ctx, &v1alpha1.ChatUser{ObjectMeta: metav1.ObjectMeta{Namespace: p.namespace, Name: user.Name}},
		client.RawPatch(types.MergePatchType, patch)), kindUser, user.EffectiveUsername())
}
