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
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/store"
)

// A username cannot be changed, so a renamed account is another ChatUser. How far it has got is written on the new one, by two annotations, so that
// whoever leads finishes what a process that died has begun:
//
//  0. The old one is marked by renamed-to, so that it gets one successor.
//  1. The new ChatUser is made with both. It awaits the old one: it is not in force, and the old one is.
//  2. It gets its Secret, and awaits says that the old one is about to be deleted by this. Up to here it is given up when the old one has changed or is
//     not there any more: whoever deletes an account does not want it under another name.
//  3. The old ChatUser is deleted, once its clients' sessions have ended.
//  4. What is remembered of the old name is moved to the new one.
//  5. awaits is taken away: the new account is in force.
//  6. Rosters, groups and rooms that name the old one are changed, where that is allowed.
//  7. renamed-from and renamed-by are taken away.
//
// Before step 3 the old account is there, after step 5 the new one; between them neither can log in, and step 4 is one transaction.

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
	if _, _, ok := p.unseal(&old); ok {
		// It came by its name this way itself, and not everything names it so yet.
		if _, err := p.FinishRename(ctx, by, &old, nil); err != nil {
			return nil, err
		}
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
		if user, err = p.successor(ctx, by, &old, username, to, update); err != nil {
			return nil, err
		}
	}
	return p.finishRename(ctx, by, user, nil)
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
	case !readAwaited(&user).is(old):
		return nil, nil
	}
	return &user, nil
}

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

// successor makes the ChatUser that takes the place of another (steps 0 and 1).
func (p *Provisioner) successor(
	ctx context.Context, by directory.Actor, old *v1alpha1.ChatUser, from, to string, update directory.UserUpdate,
) (*v1alpha1.ChatUser, error) {
	unlock, err := p.lockNew(ctx, directory.KindUser, to)
	if err != nil {
		return nil, err
	}
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
				v1alpha1.RenamedByAnnotation:   p.sealActor(by, string(old.UID), to),
				v1alpha1.AwaitsAnnotation:      awaiting(old),
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
	secret, err := p.ownSecret(ctx, old)
	if err != nil {
		return nil, err
	}
	if secret != nil && old.Spec.Credentials != nil {
		user.Spec.Credentials = &v1alpha1.UserCredentials{SecretRef: v1alpha1.LocalSecretReference{Name: issuedName(name)}}
	}
	if err := p.create(ctx, user); err != nil {
		return nil, explain(err, kindUser, to)
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

// ownSecret is the Secret of an account that goes with it; nil: it has one that somebody else made, or none.
func (p *Provisioner) ownSecret(ctx context.Context, old *v1alpha1.ChatUser) (*corev1.Secret, error) {
	generated := old.Spec.Credentials == nil
	name := credentialsOf(old)
	if generated {
		name = GeneratedSecretName(old.Name)
	}
	var secret corev1.Secret
	if err := p.get(ctx, name, &secret); apierrors.IsNotFound(err) {
		return nil, nil
	} else if err != nil {
		return nil, explain(err, "Secret", name)
	}
	if generated && OwnerOf(&secret) == string(old.UID) ||
		!generated && secret.Type == TypeVerifiers && secret.Labels[v1alpha1.ManagedByLabel] == v1alpha1.ManagedBy {
		return &secret, nil
	}
	return nil, nil
}

// inherit gives the new account a Secret like the old one's own, as it is now.
func (p *Provisioner) inherit(ctx context.Context, old, user *v1alpha1.ChatUser, to string) error {
	secret, err := p.ownSecret(ctx, old)
	if err != nil || secret == nil {
		return err
	}
	heir := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: p.namespace, Name: credentialsOf(user), Labels: ownLabels(user.Name),
			OwnerReferences: []metav1.OwnerReference{ownedBy(user, "ChatUser")},
		},
		Type: secret.Type, Data: maps.Clone(secret.Data),
	}
	if user.Spec.Credentials == nil {
		heir.Name = GeneratedSecretName(user.Name)
		address := to + "@" + p.directory.Domain()
		heir.Data["username"], heir.Data["jid"], heir.Data["uri"] = []byte(to), []byte(address), []byte("xmpp:"+address)
	} else {
		heir.Annotations = map[string]string{forAnnotation: user.Name}
	}
	err = p.create(ctx, heir)
	if !apierrors.IsAlreadyExists(err) {
		return explain(err, "Secret", heir.Name)
	}
	// An earlier attempt made it. The password may be another one by now.
	var there corev1.Secret
	if err := p.get(ctx, heir.Name, &there); err != nil {
		return explain(err, "Secret", heir.Name)
	}
	if owner := metav1.GetControllerOf(&there); owner == nil || owner.UID != user.UID {
		return &ForeignSecretError{Name: heir.Name}
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": there.UID}, "data": heir.Data})
	if err != nil {
		return err
	}
	return explain(p.patch(ctx, &there, client.RawPatch(types.MergePatchType, patch)), "Secret", heir.Name)
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

// Renaming is one that is about to be finished by somebody else than who began it.
type Renaming struct {
	// By is who asked for it; the zero Actor when nobody knows.
	By       directory.Actor
	From, To string
	// UID is that of the old ChatUser, Begun when the new one was made.
	UID   string
	Begun time.Time
	// Left says what still has the old name.
	Left []string
}

// FinishRename goes on with a rename from wherever it is, and gives up one whose old account has changed, is gone, or may not be deleted any more. Before it
// forgets that there was one, it has it recorded; record may be nil.
func (p *Provisioner) FinishRename(
	ctx context.Context, by directory.Actor, user *v1alpha1.ChatUser, record func(context.Context, Renaming) error,
) (left []string, err error) {
	from, _, ok := p.unseal(user)
	switch {
	case !ok && p.Forged(user):
		return nil, ErrForged
	case !ok: // it is finished
		return nil, nil
	}
	// One at a time, or two would delete and move beside each other.
	unlock := p.names.lock("rename/" + from)
	defer unlock()
	return p.finishRename(ctx, by, user, record)
}

func (p *Provisioner) finishRename(
	ctx context.Context, by directory.Actor, user *v1alpha1.ChatUser, record func(context.Context, Renaming) error,
) (left []string, err error) {
	from, uid, ok := p.unseal(user)
	if !ok {
		return nil, ErrForged
	}
	to := user.EffectiveUsername()
	var now v1alpha1.ChatUser
	if err := p.get(ctx, user.Name, &now); err != nil {
		return nil, explain(err, kindUser, to)
	}
	if now.UID != user.UID {
		return nil, fmt.Errorf("%s %q: %w", kindUser, to, directory.ErrNotFound)
	}
	if now.Annotations[v1alpha1.AwaitsAnnotation] != "" {
		if err := p.takePlace(ctx, by, &now, from, to, uid); err != nil {
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
	if record != nil && now.Annotations[v1alpha1.RenamedFromAnnotation] != "" {
		if err := record(ctx, Renaming{By: p.askedBy(&now, uid), From: from, To: to, UID: uid, Begun: now.CreationTimestamp.Time, Left: left}); err != nil {
			return left, err
		}
	}
	return left, p.unmark(ctx, &now)
}

// takePlace is steps 2 to 5.
func (p *Provisioner) takePlace(ctx context.Context, by directory.Actor, user *v1alpha1.ChatUser, from, to, uid string) error {
	// Nobody makes an account of the old name, or purges its data, before that is moved.
	unlock := p.LockName(directory.KindUser, from)
	defer unlock()
	there, err := p.removeRenamed(ctx, by, user, from, to, uid)
	if err != nil {
		return err
	}
	if err := await(ctx, func(ctx context.Context) error {
		return p.directory.WaitGone(ctx, directory.KindUser, from, uid)
	}); err != nil {
		return err
	}
	if holder, held := p.directory.Holder(directory.KindUser, to); held && holder.UID != string(user.UID) {
		return fmt.Errorf("the ChatUser %q claims the name %q, which %q is being given: delete it: %w", holder.Name, to, from, directory.ErrConflict)
	}
	if p.identities != nil && !there {
		if err := p.identities.MoveAccount(ctx, from, to, uid, p.directory.Domain()); err != nil {
			return err
		}
	}
	return p.mark(ctx, user, v1alpha1.AwaitsAnnotation, nil)
}

// removeRenamed deletes the account whose place another takes, unless that has been done. there: somebody has made one of the old name anew, and what is
// remembered of the name is that one's.
func (p *Provisioner) removeRenamed(ctx context.Context, by directory.Actor, user *v1alpha1.ChatUser, from, to, uid string) (there bool, err error) {
	for range maxTries {
		a := readAwaited(user)
		var old v1alpha1.ChatUser
		err := p.get(ctx, a.name, &old)
		switch {
		case err != nil && !apierrors.IsNotFound(err):
			return false, explain(err, kindUser, from)
		case err != nil && a.going:
			return false, nil
		case err != nil, string(old.UID) != uid && !a.going:
			return false, p.giveUp(ctx, user, from, fmt.Errorf("user %q: %w", from, directory.ErrNotFound))
		case string(old.UID) != uid:
			return true, nil
		}
		if marked := old.Annotations[v1alpha1.RenamedToAnnotation]; marked != to {
			return false, p.giveUp(ctx, user, from, fmt.Errorf("user %q is being renamed to %q: %w", from, marked, directory.ErrConflict))
		}
		if a.generation != strconv.FormatInt(old.Generation, 10) {
			return false, p.giveUp(ctx, user, from, fmt.Errorf("user %q has changed since it was to be renamed: %w", from, directory.ErrConflict))
		}
		if holder, held := p.directory.Holder(directory.KindUser, to); held && holder.UID != string(user.UID) {
			return false, p.giveUp(ctx, user, from, fmt.Errorf("user %q: %w", to, directory.ErrExists))
		}
		if err := p.permitDelete(by, &old, old.Spec.InBandPolicy); err != nil {
			return false, p.giveUp(ctx, user, from, err)
		}
		if err := p.inherit(ctx, &old, user, to); err != nil {
			return false, err
		}
		if err := p.intendMove(ctx, from, &old); err != nil {
			return false, err
		}
		if !a.going {
			begun := awaiting(&old) + "/" + going
			if err := p.mark(ctx, user, v1alpha1.AwaitsAnnotation, &begun); err != nil {
				return false, err
			}
			user.Annotations[v1alpha1.AwaitsAnnotation] = begun
		}
		// While the account is there, what its clients have not acknowledged goes into its mailbox.
		p.end(from)
		switch err := p.removeAsIs(ctx, &old); {
		case err == nil:
			return false, nil
		case !apierrors.IsConflict(err): // else something about it has changed, its status for instance
			return false, explain(err, kindUser, from)
		}
	}
	return false, fmt.Errorf("%s %q: %w", kindUser, from, directory.ErrConflict)
}

// intendMove writes down that what is remembered of an account is about to be moved, so that nobody purges it.
func (p *Provisioner) intendMove(ctx context.Context, from string, old *v1alpha1.ChatUser) error {
	if p.identities == nil {
		return nil
	}
	policy := v1alpha1.DeletionPolicyDelete
	if old.Spec.DeletionPolicy != nil {
		policy = *old.Spec.DeletionPolicy
	}
	return p.identities.PutIdentity(ctx, store.Identity{
		Kind: directory.KindUser.String(), Name: from, UID: string(old.UID), Resource: old.Name,
		DeletionPolicy: string(policy), State: store.Moving, Since: p.clock.Now().UTC(),
	})
}

// giveUp takes back a rename whose old account stays, or is gone without it.
func (p *Provisioner) giveUp(ctx context.Context, user *v1alpha1.ChatUser, from string, why error) error {
	ctx = context.WithoutCancel(ctx)
	if err := p.remove(ctx, user); err != nil {
		p.log.Error(err, "Could not take a renamed user back; trying again", "chatUser", user.Name)
		return why
	}
	if p.identities == nil {
		return why
	}
	row, ok, err := p.identities.GetIdentity(ctx, directory.KindUser.String(), from)
	if err == nil && ok && row.State == store.Moving {
		row.State = store.Active
		err = p.identities.PutIdentity(ctx, row)
	}
	if err != nil {
		p.log.Error(err, "Could not take back that an account is being renamed; that ends by itself within the hour", "username", from)
	}
	return why
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

// nameAnew has everything that names an account name it as it is called now (step 6): rosters, the remembered ones and the declared, groups, and rooms.
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
		var (
			managed *directory.ManagedError
			invalid *directory.InvalidError
			limit   *directory.LimitError
		)
		switch {
		case err == nil, errors.Is(err, directory.ErrNotFound):
		case errors.As(err, &invalid), errors.As(err, &limit):
			left = append(left, fmt.Sprintf("%s %q still names %s: %v", where, name, old, err))
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
