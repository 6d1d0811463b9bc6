package provision

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/xmpp/auth"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
)

const (
	kindRoom = "ChatRoom"
	// The most that admission takes.
	maxAffiliations      = 2000
	maxGroupAffiliations = 500
)

// CreateRoom declares a room and returns when it is in force here. A password gets a Secret of its own.
func (p *Provisioner) CreateRoom(ctx context.Context, by directory.Actor, roomName, service string, u directory.RoomUpdate) error {
	if err := p.limits.admit(by); err != nil {
		return err
	}
	local, err := jid.PrepareLocal(roomName)
	if err != nil {
		return &directory.InvalidError{Field: "spec.roomName", Message: err.Error()}
	}
	if err := checkRoomPassword(u.Password); err != nil {
		return err
	}
	identity := directory.RoomIdentity(local, service)
	name := v1alpha1.EncodeRoomName(local, service)
	room := &v1alpha1.ChatRoom{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: p.namespace, Name: name,
			Labels: map[string]string{v1alpha1.ManagedByLabel: v1alpha1.ManagedBy},
		},
		Spec: v1alpha1.ChatRoomSpec{RoomName: &local},
	}
	if service != v1alpha1.DefaultRoomService {
		room.Spec.Service = &service
	}
	if !u.CreatedAt.IsZero() {
		room.Annotations = map[string]string{v1alpha1.CreatedAtAnnotation: u.CreatedAt.UTC().Format(time.RFC3339Nano)}
	}
	if _, err := editRoom(room, u); err != nil {
		return err
	}
	secret, err := p.declareRoom(ctx, identity, room, u.Password)
	if err != nil {
		return err
	}
	err = await(ctx, func(ctx context.Context) error { return p.waitRoom(ctx, identity, room, secret) })
	if errors.Is(err, directory.ErrExists) {
		// An older resource of another name claims the room: ours is not in force and must not lie in wait.
		if gone := p.remove(context.WithoutCancel(ctx), room); gone != nil {
			p.log.Error(gone, "Could not take a room back whose name is taken", "chatRoom", name)
		} else if secret != nil {
			p.discard(ctx, secret)
		}
	}
	return err
}

// declareRoom writes the Secret of a room, if it has a password, and the ChatRoom. Creating the ChatRoom decides who wins a name; who
// loses takes the Secret back.
func (p *Provisioner) declareRoom(ctx context.Context, identity string, room *v1alpha1.ChatRoom, password *string) (*corev1.Secret, error) {
	unlock := p.LockName(directory.KindRoom, identity)
	defer unlock()
	if _, held := p.directory.Holder(directory.KindRoom, identity); held {
		return nil, fmt.Errorf("room %q: %w", identity, directory.ErrExists)
	}
	if err := p.purgeLeftovers(ctx, directory.KindRoom, identity, room.Name, &v1alpha1.ChatRoom{}); err != nil {
		return nil, err
	}
	var secret *corev1.Secret
	if password != nil && *password != "" {
		var err error
		if secret, err = p.issueRoomPassword(ctx, room.Name, *password); err != nil {
			return nil, explain(err, "Secret", room.Name)
		}
		room.Spec.PasswordSecretRef = &v1alpha1.LocalSecretReference{Name: secret.Name}
	}
	if err := p.create(ctx, room); err != nil {
		// If nobody said what became of it, the Secret may be needed; if it isn't, it is swept.
		if secret != nil && !Unreachable(err) {
			p.discard(ctx, secret)
		}
		return nil, explain(err, kindRoom, identity)
	}
	return secret, nil
}

// waitRoom returns when a written room, and its new password, are in force here.
func (p *Provisioner) waitRoom(ctx context.Context, identity string, written *v1alpha1.ChatRoom, secret *corev1.Secret) error {
	if secret != nil {
		if err := p.directory.WaitSecret(ctx, secret.Name, secret.ResourceVersion); err != nil {
			return err
		}
	}
	return p.directory.WaitActive(ctx, directory.KindRoom, identity, string(written.UID), written.Generation)
}

func checkRoomPassword(password *string) error {
	if password == nil || *password == "" {
		return nil
	}
	if _, err := auth.PreparePassword(*password); err != nil {
		return &directory.InvalidError{Field: "password", Message: err.Error()}
	}
	return nil
}

// UpdateRoom changes a room and returns when the change is in force here.
func (p *Provisioner) UpdateRoom(ctx context.Context, by directory.Actor, identity string, u directory.RoomUpdate) error {
	if err := p.limits.admit(by); err != nil {
		return err
	}
	if err := checkRoomPassword(u.Password); err != nil {
		return err
	}
	return p.updateRoom(ctx, by, identity, u)
}

func (p *Provisioner) updateRoom(ctx context.Context, by directory.Actor, identity string, u directory.RoomUpdate) error {
	name, err := p.roomResource(ctx, identity)
	if err != nil {
		return err
	}
	var secret *corev1.Secret
	before := ""
	w := wish[*v1alpha1.ChatRoom]{
		by: by, kind: kindRoom, name: name, obj: newRoom, policy: roomPolicy,
		edit: func(r *v1alpha1.ChatRoom) ([]fieldpath.Path, error) {
			if err := permitRoom(r, identity, u.Permit); err != nil {
				return nil, err
			}
			paths, err := editRoom(r, u)
			if err != nil || u.Password == nil {
				return paths, err
			}
			before = ""
			if ref := r.Spec.PasswordSecretRef; ref != nil {
				before = ref.Name
			}
			switch {
			case secret != nil:
				r.Spec.PasswordSecretRef = &v1alpha1.LocalSecretReference{Name: secret.Name}
			case *u.Password == "" && before == "":
				return paths, nil
			default:
				r.Spec.PasswordSecretRef = nil
			}
			return append(paths, specPath("passwordSecretRef")), nil
		},
	}
	if u.Password != nil && *u.Password != "" {
		// Whether it may be changed is known before there is a Secret.
		var room v1alpha1.ChatRoom
		if err := p.get(ctx, name, &room); err != nil {
			return explain(err, kindRoom, identity)
		}
		paths, err := w.edit(room.DeepCopy())
		if err == nil {
			err = p.permit(by, &room, room.Spec.InBandPolicy, append(paths, specPath("passwordSecretRef")))
		}
		if err != nil {
			return err
		}
		if secret, err = p.issueRoomPassword(ctx, name, *u.Password); err != nil {
			return explain(err, "Secret", name)
		}
	}
	// Those who change one room through this process take turns: as many as like can do so at once, and none has to give up.
	unlock := p.LockName(directory.KindRoom, identity)
	changed, err := change(ctx, p, w)
	unlock()
	if err != nil {
		if secret != nil && !Unreachable(err) {
			p.discard(ctx, secret)
		}
		return err
	}
	err = await(ctx, func(ctx context.Context) error { return p.waitRoom(ctx, identity, changed, secret) })
	if before != "" {
		// Only now: without its Secret a room that still named it would let nobody in.
		p.dropRoomPassword(ctx, identity, before)
	}
	return err
}

// dropRoomPassword deletes the Secret of a password that a room no longer has, if this program issued it.
func (p *Provisioner) dropRoomPassword(ctx context.Context, identity, name string) {
	ctx = context.WithoutCancel(ctx)
	for _, r := range p.directory.Rooms() {
		if r.PasswordSecret != nil && r.PasswordSecret.Name == name && r.Identity() != identity {
			return // it is another room's as well
		}
	}
	var secret corev1.Secret
	if err := p.get(ctx, name, &secret); err != nil || secret.Type != TypeRoomPassword || !sweepable(&secret) {
		return // whose it is, or whether it is there, is found out when Secrets are swept
	}
	p.discard(ctx, &secret)
}

// DeleteRoom deletes a room with everything that is remembered of it, and returns when it is gone here.
func (p *Provisioner) DeleteRoom(ctx context.Context, by directory.Actor, identity string, permit directory.RoomPermit) error {
	if err := p.limits.admit(by); err != nil {
		return err
	}
	name, err := p.roomResource(ctx, identity)
	if err != nil {
		return err
	}
	return deletion[*v1alpha1.ChatRoom]{
		by: by, kind: directory.KindRoom, identity: identity, resource: kindRoom, name: name, obj: newRoom, policy: roomPolicy,
		retain: func(r *v1alpha1.ChatRoom) bool { return retains(r.Spec.DeletionPolicy) },
		permit: func(r *v1alpha1.ChatRoom) error { return permitRoom(r, identity, permit) },
	}.carryOut(ctx, p)
}

func newRoom() *v1alpha1.ChatRoom { return &v1alpha1.ChatRoom{} }

func roomPolicy(r *v1alpha1.ChatRoom) *v1alpha1.InBandPolicy { return r.Spec.InBandPolicy }

// roomResource finds the resource that declares a room.
func (p *Provisioner) roomResource(ctx context.Context, identity string) (string, error) {
	name, service := splitRoom(identity)
	return locate(ctx, p, directory.KindRoom, identity, v1alpha1.EncodeRoomName(name, service), newRoom(),
		func(r *v1alpha1.ChatRoom) error { return permitRoom(r, identity, nil) })
}

// splitRoom takes an identity apart.
func splitRoom(identity string) (roomName, service string) {
	roomName, service, _ = strings.Cut(identity, "@")
	return roomName, service
}

// permitRoom fails when a resource is that of another room, or when who asks may not change the room as it is.
func permitRoom(r *v1alpha1.ChatRoom, identity string, permit directory.RoomPermit) error {
	local, err := jid.PrepareLocal(r.EffectiveRoomName())
	if err != nil || directory.RoomIdentity(local, r.EffectiveService()) != identity {
		return fmt.Errorf("room %q: %w", identity, directory.ErrNotFound)
	}
	if permit == nil {
		return nil
	}
	usual := directory.NewRoom(local, r.EffectiveService())
	now := directory.RoomState{
		Persistent: or(r.Spec.Persistent, usual.Persistent), RegistrationEnabled: or(r.Spec.RegistrationEnabled, usual.RegistrationEnabled),
		CanInvite: or(r.Spec.CanInvite, usual.CanInvite),
	}
	for _, a := range r.Spec.Affiliations {
		if j, err := directory.ParseBare(a.JID); err == nil {
			now.Affiliations = append(now.Affiliations, directory.Affiliation{JID: j, Affiliation: directory.AffiliationName(a.Affiliation)})
		}
	}
	for _, a := range r.Spec.GroupAffiliations {
		now.GroupAffiliations = append(now.GroupAffiliations, directory.GroupAffiliation{Group: a.Group, Affiliation: directory.AffiliationName(a.Affiliation)})
	}
	return permit(now)
}

func or[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}

// editRoom changes a ChatRoom as asked, all but its password, and says which paths that touches. What already is as asked, by a field or by
// default, is not touched.
func editRoom(r *v1alpha1.ChatRoom, u directory.RoomUpdate) ([]fieldpath.Path, error) {
	e := editor{}
	usual := directory.NewRoom(r.EffectiveRoomName(), r.EffectiveService())
	spec := &r.Spec
	edit(&e, "displayName", &spec.DisplayName, u.DisplayName, usual.DisplayName)
	edit(&e, "description", &spec.Description, u.Description, "")
	if u.Subject != nil && (spec.Subject == nil || *spec.Subject != *u.Subject) {
		spec.Subject = u.Subject
		e.touch(specPath("subject"))
	}
	if u.MaxOccupants != nil {
		edit(&e, "maxOccupants", &spec.MaxOccupants, new(int32(min(*u.MaxOccupants, 1<<30))), 0)
	}
	edit(&e, "listed", &spec.Listed, u.Listed, usual.Listed)
	edit(&e, "persistent", &spec.Persistent, u.Persistent, usual.Persistent)
	edit(&e, "membersOnly", &spec.MembersOnly, u.MembersOnly, usual.MembersOnly)
	edit(&e, "moderated", &spec.Moderated, u.Moderated, usual.Moderated)
	edit(&e, "archived", &spec.Archived, u.Archived, usual.Archived)
	edit(&e, "registrationEnabled", &spec.RegistrationEnabled, u.RegistrationEnabled, usual.RegistrationEnabled)
	edit(&e, "nicknameRestricted", &spec.NicknameRestricted, u.NicknameRestricted, usual.NicknameRestricted)
	edit(&e, "canChangeSubject", &spec.CanChangeSubject, u.CanChangeSubject, usual.CanChangeSubject)
	edit(&e, "canInvite", &spec.CanInvite, u.CanInvite, usual.CanInvite)
	edit(&e, "canChangeNickname", &spec.CanChangeNickname, u.CanChangeNickname, usual.CanChangeNickname)
	edit(&e, "whoSeesJIDs", &spec.WhoSeesJIDs, (*v1alpha1.WhoSeesJIDs)(u.WhoSeesJIDs), v1alpha1.WhoSeesJIDs(usual.WhoSeesJIDs))
	edit(&e, "privateMessages", &spec.PrivateMessages, (*v1alpha1.PrivateMessages)(u.PrivateMessages), v1alpha1.PrivateMessages(usual.PrivateMessages))
	if u.PresenceBroadcast != nil {
		wanted := make([]v1alpha1.PresenceRole, 0, len(*u.PresenceBroadcast))
		for _, role := range *u.PresenceBroadcast {
			wanted = append(wanted, v1alpha1.PresenceRole(role))
		}
		have := spec.PresenceBroadcast
		if have == nil {
			for _, role := range usual.PresenceBroadcast {
				have = append(have, v1alpha1.PresenceRole(role))
			}
		}
		if !sameSet(have, wanted) {
			spec.PresenceBroadcast = wanted
			e.touch(specPath("presenceBroadcast"))
		}
	}
	// Before anything is compared: a room cannot give up and get more than it may have.
	switch {
	case len(u.Affiliations) > 2*maxAffiliations:
		return nil, &directory.LimitError{Field: "spec.affiliations", Limit: maxAffiliations}
	case len(u.GroupAffiliations) > 2*maxGroupAffiliations:
		return nil, &directory.LimitError{Field: "spec.groupAffiliations", Limit: maxGroupAffiliations}
	}
	for _, a := range u.Affiliations {
		i := slices.IndexFunc(spec.Affiliations, func(have v1alpha1.RoomAffiliation) bool { return isAddress(have.JID, a.JID) })
		entry := v1alpha1.RoomAffiliation{JID: a.JID.Bare().String(), Affiliation: v1alpha1.Affiliation(a.Affiliation)}
		if i >= 0 {
			entry.JID = spec.Affiliations[i].JID // its key stays as it was written
		}
		spec.Affiliations = editEntry(&e, spec.Affiliations, i, entry, a.Affiliation == "",
			fieldpath.MakePathOrDie("spec", "affiliations", fieldpath.KeyByFields("jid", entry.JID)))
	}
	for _, a := range u.GroupAffiliations {
		i := slices.IndexFunc(spec.GroupAffiliations, func(have v1alpha1.RoomGroupAffiliation) bool { return have.Group == a.Group })
		entry := v1alpha1.RoomGroupAffiliation{Group: a.Group, Affiliation: v1alpha1.Affiliation(a.Affiliation)}
		spec.GroupAffiliations = editEntry(&e, spec.GroupAffiliations, i, entry, a.Affiliation == "",
			fieldpath.MakePathOrDie("spec", "groupAffiliations", fieldpath.KeyByFields("group", a.Group)))
	}
	switch {
	case len(spec.Affiliations) > maxAffiliations && len(u.Affiliations) > 0:
		return nil, &directory.LimitError{Field: "spec.affiliations", Limit: maxAffiliations}
	case len(spec.GroupAffiliations) > maxGroupAffiliations && len(u.GroupAffiliations) > 0:
		return nil, &directory.LimitError{Field: "spec.groupAffiliations", Limit: maxGroupAffiliations}
	}
	return e.paths, nil
}

// editor takes note of what an edit touches.
type editor struct{ paths []fieldpath.Path }

func (e *editor) touch(path fieldpath.Path) { e.paths = append(e.paths, path) }

// edit sets a field of the spec that has a default, unless it is already as wanted.
func edit[T comparable](e *editor, name string, field **T, wanted *T, usual T) {
	have := usual
	if *field != nil {
		have = **field
	}
	if wanted == nil || *wanted == have {
		return
	}
	*field = wanted
	e.touch(specPath(name))
}

// editEntry puts an entry into a list at i, appends it where i is -1, or takes it out.
func editEntry[T comparable](e *editor, list []T, i int, entry T, remove bool, path fieldpath.Path) []T {
	switch {
	case remove && i < 0, i >= 0 && !remove && list[i] == entry:
		return list
	case remove:
		list = slices.Delete(list, i, i+1)
	case i < 0:
		list = append(list, entry)
	default:
		list[i] = entry
	}
	e.touch(path)
	return list
}

// isAddress says whether a declared address is that one, whatever its spelling.
func isAddress(declared string, j jid.JID) bool {
	if declared == j.Bare().String() {
		return true
	}
	have, err := directory.ParseBare(declared)
	return err == nil && have == j.Bare()
}

func sameSet[T ~string](a, b []T) bool {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(slices.Compact(a), slices.Compact(b))
}
