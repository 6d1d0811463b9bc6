package provision

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/xmpp/auth"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
)

// A username cannot be changed, so a renamed account is another ChatUser. How far it has got is written on the new one, by two annotations, so that
// whoever leads finishes what a process that died has begun:
//
//  0. The old one is marked by renamed-to, so that it gets one successor.
//  1. The new ChatUser is made with both. It awaits the old one: it is not in force, and the old one is.
//  2. The old ChatUser is deleted, with the sessions of its clients.
//  3. What is remembered of the old name is moved to the new one.
//  4. awaits is taken away: the new account is in force.
//  5. Rosters, groups and rooms that name the old one are changed, where that is allowed.
//  6. renamed-from is taken away.
//
// Before step 2 the old account is there, after step 4 the new one; between them neither can log in, and step 3 is one transaction.

// RenameUser gives an account another name and returns when it is in force under it.
func (p *Provisioner) RenameUser(ctx context.Context, by directory.Actor, username, to string, update directory.UserUpdate) (left []string, err error) {
	if err := p.limits.admit(by); err != nil {
		return nil, err
	}
	to, err = jid.PrepareLocal(to)
	if err != nil {
		return nil, &directory.InvalidError{Field: "username", Message: err.Error()}
	}
	if update.Properties != nil && len(*update.Properties) > maxProperties {
		return nil, &directory.LimitError{Field: "properties", Limit: maxProperties}
	}
	unlock := p.names.lock("rename/" + username)
	defer unlock()
	name, err := p.userResource(ctx, username)
	if err != nil {
		return nil, err
	}
	if _, held := p.directory.Holder(directory.KindUser, to); held {
		return nil, fmt.Errorf("user %q: %w", to, directory.ErrExists)
	}
	var old v1alpha1.ChatUser
	if err := p.get(ctx, name, &old); err != nil {
		return nil, explain(err, kindUser, username)
	}
	if err := declares(&old, username); err != nil {
		return nil, err
	}
	if err := p.permitDelete(by, &old, old.Spec.InBandPolicy); err != nil {
		return nil, err
	}
	user, err := p.pendingSuccessor(ctx, &old)
	switch {
	case err != nil:
		return nil, err
	case user != nil && user.EffectiveUsername() != to:
		return nil, fmt.Errorf("user %q is being renamed to %q: %w", username, user.EffectiveUsername(), directory.ErrConflict)
	case user == nil:
		if user, err = p.successor(ctx, &old, username, to, update); err != nil {
			return nil, err
		}
	}
	return p.finishRename(ctx, by, user)
}

// pendingSuccessor is the ChatUser that is to take the place of another already; nil: there is none.
func (p *Provisioner) pendingSuccessor(ctx context.Context, old *v1alpha1.ChatUser) (*v1alpha1.ChatUser, error) {
	to := old.Annotations[v1alpha1.RenamedToAnnotation]
	if to == "" {
		return nil, nil
	}
	var user v1alpha1.ChatUser
	switch err := p.get(ctx, v1alpha1.EncodeName(to), &user); {
	case apierrors.IsNotFound(err):
		return nil, nil // whoever began died before it was made
	case err != nil:
		return nil, explain(err, kindUser, to)
	case user.Annotations[v1alpha1.AwaitsAnnotation] != awaitedName(old):
		return nil, nil
	}
	return &user, nil
}

func awaitedName(old *v1alpha1.ChatUser) string { return old.Name + "/" + string(old.UID) }

// successor makes the ChatUser that takes the place of another (steps 0 and 1).
func (p *Provisioner) successor(ctx context.Context, old *v1alpha1.ChatUser, from, to string, update directory.UserUpdate) (*v1alpha1.ChatUser, error) {
	unlock := p.LockName(directory.KindUser, to)
	defer unlock()
	name := v1alpha1.EncodeName(to)
	if err := p.purgeLeftovers(ctx, directory.KindUser, to, name, &v1alpha1.ChatUser{}); err != nil {
		return nil, err
	}
	user := &v1alpha1.ChatUser{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: p.namespace, Name: name,
			Labels: maps.Clone(old.Labels),
			Annotations: map[string]string{
				v1alpha1.RenamedFromAnnotation: p.seal(from, string(old.UID), to),
				v1alpha1.AwaitsAnnotation:      awaitedName(old),
				v1alpha1.CreatedAtAnnotation:   createdAt(old).UTC().Format(time.RFC3339),
			},
		},
		Spec: *old.Spec.DeepCopy(),
	}
	if user.Labels == nil {
		user.Labels = map[string]string{}
	}
	user.Labels[v1alpha1.ManagedByLabel] = v1alpha1.ManagedBy
	user.Spec.Username = &to
	if _, err := editUser(user, update); err != nil {
		return nil, err
	}
	if err := p.mark(ctx, old, v1alpha1.RenamedToAnnotation, &to); err != nil {
		return nil, err
	}
	secret, err := p.inherit(ctx, old, name)
	if err != nil {
		return nil, err
	}
	if secret != nil {
		user.Spec.Credentials = &v1alpha1.UserCredentials{SecretRef: v1alpha1.LocalSecretReference{Name: secret.Name}}
	}
	if err := p.create(ctx, user); err != nil {
		if secret != nil && !Unreachable(err) {
			p.discard(ctx, secret)
		}
		return nil, explain(err, kindUser, to)
	}
	if secret != nil {
		p.adopt(ctx, secret, user, "ChatUser")
	}
	return user, nil
}

// createdAt is when an account came into being.
func createdAt(u *v1alpha1.ChatUser) time.Time {
	if t, err := time.Parse(time.RFC3339, u.Annotations[v1alpha1.CreatedAtAnnotation]); err == nil {
		return t
	}
	return u.CreationTimestamp.Time
}

// seal says that an account takes the place of another, in a way that nobody else can: whoever may write a ChatUser may not, by that, have groups and
// rooms changed.
func (p *Provisioner) seal(from, uid, to string) string {
	mac := hmac.New(sha256.New, p.key)
	for _, s := range []string{"renamed-from", from, uid, to} {
		mac.Write([]byte(s))
		mac.Write([]byte{0})
	}
	return from + " " + uid + " " + hex.EncodeToString(mac.Sum(nil)[:16])
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

// inherit makes a Secret with the password of an account whose own Secret goes with it; nil: it stays, as somebody else made it, or there is none.
func (p *Provisioner) inherit(ctx context.Context, old *v1alpha1.ChatUser, name string) (*corev1.Secret, error) {
	generated := old.Spec.Credentials == nil
	secretName := credentialsOf(old)
	if generated {
		secretName = GeneratedSecretName(old.Name)
	}
	var secret corev1.Secret
	if err := p.get(ctx, secretName, &secret); apierrors.IsNotFound(err) {
		return nil, nil
	} else if err != nil {
		return nil, explain(err, "Secret", secretName)
	}
	switch {
	case generated && OwnerOf(&secret) == string(old.UID):
		credential, err := auth.Derive(string(secret.Data[v1alpha1.PasswordKey]), nil, 0)
		if err != nil {
			return nil, fmt.Errorf("the generated password of %q cannot be used: %w", old.Name, err)
		}
		return p.issued(p.issueVerifiers(ctx, name, credential))
	case !generated && secret.Type == TypeVerifiers && secret.Labels[v1alpha1.ManagedByLabel] == v1alpha1.ManagedBy:
		return p.issued(p.issue(ctx, name, TypeVerifiers, ownLabels(name), secret.Data))
	}
	return nil, nil
}

func (p *Provisioner) issued(s *corev1.Secret, err error) (*corev1.Secret, error) {
	return s, explain(err, "Secret", "of verifiers")
}

// FinishRename goes on with a rename from wherever it is, and gives up one whose old account may not be deleted any more.
func (p *Provisioner) FinishRename(ctx context.Context, by directory.Actor, user *v1alpha1.ChatUser) (left []string, err error) {
	from, _, ok := p.unseal(user)
	if !ok {
		return nil, nil
	}
	// One at a time, or two would delete and move beside each other.
	unlock := p.names.lock("rename/" + from)
	defer unlock()
	return p.finishRename(ctx, by, user)
}

func (p *Provisioner) finishRename(ctx context.Context, by directory.Actor, user *v1alpha1.ChatUser) (left []string, err error) {
	from, uid, ok := p.unseal(user)
	to := user.EffectiveUsername()
	if !ok {
		return nil, fmt.Errorf("%s %q is no renamed account: %w", kindUser, to, directory.ErrConflict)
	}
	var now v1alpha1.ChatUser
	if err := p.get(ctx, user.Name, &now); err != nil {
		return nil, explain(err, kindUser, to)
	}
	if now.UID != user.UID {
		return nil, fmt.Errorf("%s %q: %w", kindUser, to, directory.ErrNotFound)
	}
	if awaited, ok := now.Annotations[v1alpha1.AwaitsAnnotation]; ok {
		name, _, _ := strings.Cut(awaited, "/")
		if err := p.takePlace(ctx, by, &now, from, to, name, uid); err != nil {
			return nil, err
		}
	}
	if err := await(ctx, func(ctx context.Context) error {
		return p.directory.WaitUser(ctx, to, string(now.UID), now.Generation, "")
	}); err != nil {
		return nil, err
	}
	if _, again := p.directory.Holder(directory.KindUser, from); again {
		left = []string{fmt.Sprintf("There is a new account %q: what names it is not renamed.", from)}
	} else if left, err = p.nameAnew(ctx, by, from, to); err != nil {
		return left, fmt.Errorf("%q is %q now, and is renamed elsewhere in a moment: %w", from, to, errors.Join(directory.ErrNotYetActive, err))
	}
	return left, p.mark(ctx, &now, v1alpha1.RenamedFromAnnotation, nil)
}

// takePlace is steps 2 to 4.
func (p *Provisioner) takePlace(ctx context.Context, by directory.Actor, user *v1alpha1.ChatUser, from, to, name, uid string) error {
	var old v1alpha1.ChatUser
	err := p.get(ctx, name, &old)
	switch {
	case err == nil && string(old.UID) == uid:
		if marked := old.Annotations[v1alpha1.RenamedToAnnotation]; marked != to {
			return p.giveUp(ctx, user, fmt.Errorf("user %q is being renamed to %q: %w", from, marked, directory.ErrConflict))
		}
		if err := p.permitDelete(by, &old, old.Spec.InBandPolicy); err != nil {
			return p.giveUp(ctx, user, err)
		}
		if err := p.removeAsIs(ctx, &old); err != nil {
			return explain(err, kindUser, from)
		}
	case err != nil && !apierrors.IsNotFound(err):
		return explain(err, kindUser, from)
	}
	if err := await(ctx, func(ctx context.Context) error {
		return p.directory.WaitGone(ctx, directory.KindUser, from, uid)
	}); err != nil {
		return err
	}
	if p.identities != nil {
		if err := p.identities.MoveAccount(ctx, from, to); err != nil {
			return err
		}
	}
	return p.mark(ctx, user, v1alpha1.AwaitsAnnotation, nil)
}

// giveUp takes back a rename whose old account stays.
func (p *Provisioner) giveUp(ctx context.Context, user *v1alpha1.ChatUser, why error) error {
	if err := p.remove(context.WithoutCancel(ctx), user); err != nil {
		p.log.Error(err, "Could not take a renamed user back; trying again", "chatUser", user.Name)
	}
	return why
}

// mark sets an annotation of that life of a ChatUser, or takes it away.
func (p *Provisioner) mark(ctx context.Context, user *v1alpha1.ChatUser, annotation string, value *string) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": user.UID, "annotations": map[string]any{annotation: value}}})
	if err != nil {
		return err
	}
	return explain(p.patch(ctx, &v1alpha1.ChatUser{ObjectMeta: metav1.ObjectMeta{Namespace: p.namespace, Name: user.Name}},
		client.RawPatch(types.MergePatchType, patch)), kindUser, user.EffectiveUsername())
}

// nameAnew has everything that names an account name it as it is called now (step 5): rosters, the remembered ones and the declared, groups, and rooms.
func (p *Provisioner) nameAnew(ctx context.Context, by directory.Actor, from, to string) (left []string, err error) {
	domain := p.directory.Domain()
	old, err := jid.New(from, domain, "")
	if err != nil {
		return nil, err
	}
	now, err := jid.New(to, domain, "")
	if err != nil {
		return nil, err
	}
	if err := p.renamed(ctx, from, to); err != nil {
		return nil, err
	}
	var failed []error
	stays := func(where, name string, err error) {
		var managed *directory.ManagedError
		switch {
		case err == nil, errors.Is(err, directory.ErrNotFound):
		case errors.As(err, &managed):
			left = append(left, fmt.Sprintf("%s %q still names %s: %s", where, name, old, managed.Error()))
			p.log.Info("Left the old name of a renamed user where it is declared", "from", from, "to", to, "kind", where, "name", name, "reason", managed.Error())
		default:
			failed = append(failed, err)
		}
	}
	for _, u := range p.directory.Users() {
		if _, has := u.Contact(old); has {
			stays(kindUser, u.Ref.Name, p.renameContact(ctx, by, u.Username, old, now))
		}
	}
	for _, g := range p.directory.Groups() {
		var update directory.GroupUpdate
		if slices.Contains(g.Members, old) {
			update.RemoveMembers, update.AddMembers = []jid.JID{old}, []jid.JID{now}
		}
		if slices.Contains(g.Admins, old) {
			update.RemoveAdmins, update.AddAdmins = []jid.JID{old}, []jid.JID{now}
		}
		if update.AddMembers != nil || update.AddAdmins != nil {
			stays(kindGroup, g.Ref.Name, p.updateGroup(ctx, by, g.GroupName, update))
		}
	}
	for _, r := range p.directory.Rooms() {
		i := slices.IndexFunc(r.Affiliations, func(a directory.Affiliation) bool { return a.JID == old })
		if i < 0 {
			continue
		}
		next := r.Affiliations[i]
		next.JID = now
		stays(kindRoom, r.Ref.Name, p.updateRoom(ctx, by, r.Identity(), directory.RoomUpdate{Affiliations: []directory.Affiliation{{JID: old}, next}}))
	}
	return left, errors.Join(failed...)
}

// renameContact changes the address of an entry of a declared roster.
func (p *Provisioner) renameContact(ctx context.Context, by directory.Actor, username string, old, now jid.JID) error {
	return p.editRoster(ctx, by, username, func(u *v1alpha1.ChatUser) ([]fieldpath.Path, error) {
		i := findContact(u.Spec.Roster, old)
		if i < 0 {
			return nil, nil
		}
		paths := []fieldpath.Path{rosterPath(u.Spec.Roster[i].JID)}
		if findContact(u.Spec.Roster, now) >= 0 {
			u.Spec.Roster = slices.Delete(u.Spec.Roster, i, i+1)
			return paths, nil
		}
		u.Spec.Roster[i].JID = now.String()
		return append(paths, rosterPath(now.String())), nil
	})
}
