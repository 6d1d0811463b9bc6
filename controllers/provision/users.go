package provision

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/xmpp/auth"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
)

const (
	kindUser = "ChatUser"
	// maxProperties is the most that admission takes.
	maxProperties = 128
	// createAtOnce is how many users of one call are made at a time.
	createAtOnce = 8
)

// made is what a creation has written, so that it can be taken back.
type made struct {
	username string
	user     *v1alpha1.ChatUser
	secret   *corev1.Secret
}

// CreateUser declares a user with a Secret of its own and returns when it can log
// in here. Creating the ChatUser decides who wins a name; who loses takes its Secret back.
func (p *Provisioner) CreateUser(ctx context.Context, by directory.Actor, u directory.NewUser) error {
	return p.CreateUsers(ctx, by, []directory.NewUser{u})
}

// CreateUsers declares all of the users, or none: what was made before one of them
// failed is taken back.
func (p *Provisioner) CreateUsers(ctx context.Context, by directory.Actor, users []directory.NewUser) error {
	if err := p.limits.admit(by); err != nil {
		return err
	}
	// Whatever can be refused without writing is refused first.
	prepared := make([]directory.NewUser, len(users))
	seen := make(map[string]struct{}, len(users))
	for i, u := range users {
		var err error
		if prepared[i], err = p.acceptable(u); err != nil {
			return err
		}
		if _, twice := seen[prepared[i].Username]; twice {
			return fmt.Errorf("user %q is named twice: %w", prepared[i].Username, directory.ErrExists)
		}
		seen[prepared[i].Username] = struct{}{}
	}
	// Of several who make the same names at once, one has all of them until it is done, or has taken back what it made: each having some, none would get all.
	unlock, err := p.lockNew(ctx, directory.KindUser, slices.Collect(maps.Keys(seen))...)
	if err != nil {
		return err
	}
	defer unlock()
	for username := range seen {
		if err := p.free(username); err != nil {
			return err
		}
	}

	written := make([]made, len(users))
	errs := make([]error, len(users))
	slots := make(chan struct{}, createAtOnce)
	var failed atomic.Bool
	var group sync.WaitGroup
	for i := range prepared {
		slots <- struct{}{}
		if failed.Load() {
			break // what follows would only be taken back
		}
		group.Go(func() {
			defer func() { <-slots }()
			if written[i], errs[i] = p.declare(ctx, prepared[i]); errs[i] != nil {
				failed.Store(true)
			}
		})
	}
	group.Wait()
	if err := first(errs); err != nil {
		if !p.takeBack(ctx, written) || slices.ContainsFunc(errs, directory.Unanswered) {
			err = fmt.Errorf("%w: %w", directory.ErrPartly, err)
		}
		return err
	}

	err = await(ctx, func(ctx context.Context) error {
		for _, m := range written {
			if err := p.directory.WaitUser(ctx, m.username, string(m.user.UID), m.user.Generation, m.secret.Name); err != nil {
				return err
			}
		}
		return nil
	})
	if errors.Is(err, directory.ErrExists) {
		// An older resource of another name claims the username: ours is not in
		// force and must not lie in wait.
		if !p.takeBack(ctx, written) {
			err = fmt.Errorf("%w: %w", directory.ErrPartly, err)
		}
	}
	return err
}

// acceptable prepares a user to be declared.
func (p *Provisioner) acceptable(u directory.NewUser) (directory.NewUser, error) {
	username, err := jid.PrepareLocal(u.Username)
	if err != nil {
		return u, &directory.InvalidError{Field: "username", Message: err.Error()}
	}
	u.Username = username
	if _, err := auth.PreparePassword(u.Password); err != nil {
		return u, &directory.InvalidError{Field: "password", Message: err.Error()}
	}
	if len(u.Properties) > maxProperties {
		return u, &directory.LimitError{Field: "properties", Limit: maxProperties}
	}
	return u, p.free(username)
}

// free fails when somebody has a username.
func (p *Provisioner) free(username string) error {
	if _, held := p.directory.Holder(directory.KindUser, username); held {
		return fmt.Errorf("user %q: %w", username, directory.ErrExists)
	}
	return nil
}

// declare writes the Secret and the ChatUser of one user. Only when the ChatUser
// is there, too, does it return what it made. It is called with the name locked.
func (p *Provisioner) declare(ctx context.Context, u directory.NewUser) (made, error) {
	credential, err := auth.Derive(u.Password, nil, 0)
	if err != nil {
		return made{}, &directory.InvalidError{Field: "password", Message: err.Error()}
	}
	name := v1alpha1.EncodeName(u.Username)
	if err := p.purgeLeftovers(ctx, directory.KindUser, u.Username, name, &v1alpha1.ChatUser{}); err != nil {
		return made{}, err
	}
	secret, err := p.issueVerifiers(ctx, name, credential)
	if err != nil {
		return made{}, explain(err, "Secret", name)
	}
	user := newChatUser(p.namespace, name, u, secret.Name)
	if err := p.create(ctx, user); err != nil {
		if !Unreachable(err) {
			p.discard(ctx, secret)
			return made{}, explain(err, kindUser, u.Username)
		}
		// Nobody said what became of it. If it is there with our Secret, it is ours.
		var there v1alpha1.ChatUser
		if getErr := p.get(context.WithoutCancel(ctx), name, &there); getErr != nil || credentialsOf(&there) != secret.Name {
			if getErr == nil || apierrors.IsNotFound(getErr) {
				p.discard(ctx, secret)
				err = answered(err)
			}
			return made{}, explain(err, kindUser, u.Username)
		}
		user = &there
	}
	return made{username: u.Username, user: user, secret: secret}, nil
}

// takeBack deletes what a failed creation has written, the users first, and says whether none of them is left.
func (p *Provisioner) takeBack(ctx context.Context, written []made) bool {
	ctx, all := context.WithoutCancel(ctx), true
	for _, m := range written {
		if m.user == nil {
			continue
		}
		if err := p.remove(ctx, m.user); err != nil {
			p.log.Error(err, "Could not take a user back whose creation failed", "chatUser", m.user.Name)
			all = false
			continue
		}
		p.discard(ctx, m.secret)
	}
	return all
}

func newChatUser(namespace, name string, u directory.NewUser, secretName string) *v1alpha1.ChatUser {
	user := &v1alpha1.ChatUser{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace,
			Name:      name,
			Labels:    map[string]string{v1alpha1.ManagedByLabel: v1alpha1.ManagedBy},
		},
		Spec: v1alpha1.ChatUserSpec{
			Username:    &u.Username,
			DisplayName: optional(u.DisplayName),
			Email:       optional(u.Email),
			Credentials: &v1alpha1.UserCredentials{SecretRef: v1alpha1.LocalSecretReference{Name: secretName}},
		},
	}
	for _, property := range u.Properties {
		user.Spec.Properties = append(user.Spec.Properties, v1alpha1.Property{Key: property.Key, Value: &property.Value})
	}
	return user
}

// UpdateUser changes a user and returns when the change is in force here.
func (p *Provisioner) UpdateUser(ctx context.Context, by directory.Actor, username string, update directory.UserUpdate) error {
	if err := p.limits.admit(by); err != nil {
		return err
	}
	if update.Properties != nil && len(*update.Properties) > maxProperties {
		return &directory.LimitError{Field: "properties", Limit: maxProperties}
	}
	name, err := p.userResource(ctx, username)
	if err != nil {
		return err
	}
	changed, version, err := p.writeUser(ctx, by, username, name, update)
	if err != nil {
		return err
	}
	return await(ctx, func(ctx context.Context) error {
		secretName := ""
		if version != "" {
			secretName = directoryKey(changed)
			if err := p.directory.WaitSecret(ctx, secretName, version); err != nil {
				return err
			}
		}
		return p.directory.WaitUser(ctx, username, string(changed.UID), changed.Generation, secretName)
	})
}

// writeUser writes a change; version is that of the Secret if the password is changed. Those who change one user through this process take turns: as many as
// like can do so at once, and none has to give up.
func (p *Provisioner) writeUser(
	ctx context.Context, by directory.Actor, username, name string, update directory.UserUpdate,
) (changed *v1alpha1.ChatUser, version string, err error) {
	unlock := p.LockName(directory.KindUser, username)
	defer unlock()
	var user v1alpha1.ChatUser
	if err := p.get(ctx, name, &user); err != nil {
		return nil, "", explain(err, kindUser, username)
	}
	if err := declares(&user, username); err != nil {
		return nil, "", err
	}
	// Everything is permitted before anything is written.
	if paths, err := editUser(user.DeepCopy(), update); err != nil {
		return nil, "", err
	} else if len(paths) > 0 {
		if err := p.permit(by, &user, user.Spec.InBandPolicy, paths); err != nil {
			return nil, "", err
		}
	}
	var issued *corev1.Secret
	if update.Password != nil {
		if version, issued, err = p.setPassword(ctx, by, &user, *update.Password); err != nil {
			return nil, "", err
		}
	}
	changed, err = change(ctx, p, wish[*v1alpha1.ChatUser]{
		by: by, kind: kindUser, name: name,
		obj:    func() *v1alpha1.ChatUser { return &v1alpha1.ChatUser{} },
		policy: func(u *v1alpha1.ChatUser) *v1alpha1.InBandPolicy { return u.Spec.InBandPolicy },
		edit: func(u *v1alpha1.ChatUser) ([]fieldpath.Path, error) {
			if err := declares(u, username); err != nil {
				return nil, err
			}
			paths, err := editUser(u, update)
			if issued != nil {
				u.Spec.Credentials = &v1alpha1.UserCredentials{SecretRef: v1alpha1.LocalSecretReference{Name: issued.Name}}
				paths = append(paths, credentialsPath())
			}
			return paths, err
		},
	})
	if err != nil {
		if issued != nil && !Unreachable(err) {
			p.discard(ctx, issued)
		}
		if version != "" {
			err = fmt.Errorf("the password is changed: %w: %w", directory.ErrPartly, err)
		}
		return nil, "", err
	}
	if issued != nil {
		version = issued.ResourceVersion
	}
	return changed, version, nil
}

// setPassword writes verifiers of a password into the user's Secret, if this program made
// that. A Secret of somebody else is never overwritten: unless it is declared that
// the user has it, a new one is issued that the user is then to name.
func (p *Provisioner) setPassword(ctx context.Context, by directory.Actor, user *v1alpha1.ChatUser, password string) (version string, issued *corev1.Secret, err error) {
	credential, err := auth.Derive(password, nil, 0)
	if err != nil {
		return "", nil, &directory.InvalidError{Field: "password", Message: err.Error()}
	}
	if done, err := p.decidedByPolicy(by, user.Spec.InBandPolicy, "password"); done && err != nil {
		return "", nil, err
	}
	secretName := credentialsOf(user)
	version, err = p.rewriteSecret(ctx, secretName, credential)
	switch {
	case err == nil:
		return version, nil, nil
	case !errors.Is(err, errNotOurs):
		return "", nil, explain(err, "Secret", secretName)
	}
	if err := p.permit(by, user, user.Spec.InBandPolicy, []fieldpath.Path{credentialsPath()}); err != nil {
		return "", nil, err
	}
	issued, err = p.issueVerifiers(ctx, user.Name, credential)
	if err != nil {
		return "", nil, explain(err, "Secret", user.Name)
	}
	return "", issued, nil
}

// editUser changes a ChatUser as asked, and says which paths that touches. What
// already is as asked is not touched.
func editUser(u *v1alpha1.ChatUser, update directory.UserUpdate) ([]fieldpath.Path, error) {
	var paths []fieldpath.Path
	text := func(field **string, wanted *string, name string) {
		if wanted != nil && *wanted != valueOf(*field) {
			*field = optional(*wanted)
			paths = append(paths, specPath(name))
		}
	}
	flag := func(field **bool, wanted *bool, name string) {
		if wanted != nil && *wanted != valueOf(*field) {
			*field = wanted
			paths = append(paths, specPath(name))
		}
	}
	text(&u.Spec.DisplayName, update.DisplayName, "displayName")
	text(&u.Spec.Email, update.Email, "email")
	flag(&u.Spec.Locked, update.Locked, "locked")
	flag(&u.Spec.Admin, update.Admin, "admin")
	if update.Properties != nil {
		var touched []string
		u.Spec.Properties, touched = editProperties(u.Spec.Properties, *update.Properties)
		for _, key := range touched {
			paths = append(paths, fieldpath.MakePathOrDie("spec", "properties", fieldpath.KeyByFields("key", key)))
		}
	}
	return paths, nil
}

// editProperties makes the properties exactly the wanted ones, keeping the order of
// those that stay, and says which keys that touches.
func editProperties(have []v1alpha1.Property, wanted []directory.Property) (list []v1alpha1.Property, touched []string) {
	values := make(map[string]string, len(wanted))
	for _, w := range wanted {
		values[w.Key] = w.Value
	}
	for _, h := range have {
		v, keep := values[h.Key]
		if !keep {
			touched = append(touched, h.Key)
			continue
		}
		if v != valueOf(h.Value) {
			h.Value = &v
			touched = append(touched, h.Key)
		}
		delete(values, h.Key)
		list = append(list, h)
	}
	for _, w := range wanted {
		if v, missing := values[w.Key]; missing {
			list = append(list, v1alpha1.Property{Key: w.Key, Value: &v})
			touched = append(touched, w.Key)
			delete(values, w.Key)
		}
	}
	return list, touched
}

// DeleteUser deletes a user with everything that is remembered of it, and returns
// when it is gone here.
func (p *Provisioner) DeleteUser(ctx context.Context, by directory.Actor, username string) error {
	if err := p.limits.admit(by); err != nil {
		return err
	}
	name, err := p.userResource(ctx, username)
	if err != nil {
		return err
	}
	unlock := p.lockReferences(directory.KindUser, username)
	defer unlock()
	err = deletion[*v1alpha1.ChatUser]{
		by: by, kind: directory.KindUser, identity: username, resource: kindUser, name: name,
		obj:    func() *v1alpha1.ChatUser { return &v1alpha1.ChatUser{} },
		policy: func(u *v1alpha1.ChatUser) *v1alpha1.InBandPolicy { return u.Spec.InBandPolicy },
		retain: func(u *v1alpha1.ChatUser) bool { return retains(u.Spec.DeletionPolicy) },
		permit: func(u *v1alpha1.ChatUser) error { return declares(u, username) },
	}.carryOut(ctx, p)
	p.afterDeletion(ctx, by, directory.KindUser, username, err)
	return err
}

func retains(policy *v1alpha1.DeletionPolicy) bool {
	return policy != nil && *policy == v1alpha1.DeletionPolicyRetain
}

// forgetUser takes a deleted user out of rosters, the remembered ones and the declared, out of groups, and out of rooms. What may not be
// changed from here keeps a name that is not there any more; an error is about what may be changed later.
func (p *Provisioner) forgetUser(ctx context.Context, by directory.Actor, username string) error {
	failed := []error{p.forget(ctx, username)}
	address, err := jid.New(username, p.directory.Domain(), "")
	if err != nil {
		return err
	}
	left := func(where, name string, err error) {
		switch {
		case !stays(err):
			failed = append(failed, err)
		case err != nil && !errors.Is(err, directory.ErrNotFound) && !errors.Is(err, directory.ErrNotYetActive):
			p.log.Info("Left a deleted user where it was declared", "username", username, "kind", where, "name", name, "reason", err.Error())
		}
	}
	for _, u := range p.directory.Users() {
		if _, has := u.Contact(address); has {
			left(kindUser, u.Ref.Name, p.deleteContact(ctx, by, u.Username, address))
		}
	}
	gone := []jid.JID{address}
	for _, g := range p.directory.Groups() {
		if slices.Contains(g.Members, address) || slices.Contains(g.Admins, address) {
			left(kindGroup, g.Ref.Name, p.updateGroup(ctx, by, g.GroupName, directory.GroupUpdate{RemoveMembers: gone, RemoveAdmins: gone}))
		}
	}
	for _, r := range p.directory.Rooms() {
		if slices.ContainsFunc(r.Affiliations, func(a directory.Affiliation) bool { return a.JID == address }) {
			update := directory.RoomUpdate{Affiliations: []directory.Affiliation{{JID: address}}}
			if heir, there := p.heir(r, address); there {
				update.Affiliations = append(update.Affiliations, directory.Affiliation{JID: heir, Affiliation: directory.AffiliationOwner})
			}
			left(kindRoom, r.Ref.Name, p.updateRoom(ctx, by, r.Identity(), update))
		}
	}
	return errors.Join(failed...)
}

// heir is the administrator who takes a room over whose only owner is deleted: the first by name. A room without an owner stays so where there is none.
func (p *Provisioner) heir(room *directory.Room, deleted jid.JID) (heir jid.JID, there bool) {
	owned := false
	for _, a := range room.Affiliations {
		if a.Affiliation == directory.AffiliationOwner {
			if a.JID != deleted {
				return jid.JID{}, false
			}
			owned = true
		}
	}
	if !owned || slices.ContainsFunc(room.GroupAffiliations, func(a directory.GroupAffiliation) bool { return a.Affiliation == directory.AffiliationOwner }) {
		return jid.JID{}, false
	}
	first := ""
	for _, u := range p.directory.Users() {
		if u.Admin && u.Username != deleted.Local() && (first == "" || u.Username < first) {
			first = u.Username
		}
	}
	if first == "" {
		return jid.JID{}, false
	}
	heir, err := jid.New(first, p.directory.Domain(), "")
	return heir, err == nil
}

// userResource finds the resource that declares a user: in the directory, else,
// in case the projection lags, at the API server under the name it would have.
func (p *Provisioner) userResource(ctx context.Context, username string) (string, error) {
	return locate(ctx, p, directory.KindUser, username, v1alpha1.EncodeName(username), &v1alpha1.ChatUser{},
		func(u *v1alpha1.ChatUser) error { return declares(u, username) })
}

// declares fails when a resource is that of another user: between the look at the directory and the look at
// the resource, somebody may have made another one under its name.
func declares(u *v1alpha1.ChatUser, username string) error {
	if prepared, err := jid.PrepareLocal(u.EffectiveUsername()); err != nil || prepared != username {
		return fmt.Errorf("user %q: %w", username, directory.ErrNotFound)
	}
	return nil
}

// credentialsOf is the name of the Secret with a user's credentials.
func credentialsOf(u *v1alpha1.ChatUser) string {
	if u.Spec.Credentials != nil {
		return u.Spec.Credentials.SecretRef.Name
	}
	return GeneratedSecretName(u.Name)
}

// directoryKey is the name under which the directory knows them.
func directoryKey(u *v1alpha1.ChatUser) string {
	if u.Spec.Credentials != nil {
		return u.Spec.Credentials.SecretRef.Name
	}
	return GeneratedKey(string(u.UID))
}

func credentialsPath() fieldpath.Path { return specPath("credentials") }

func specPath(field string) fieldpath.Path { return fieldpath.MakePathOrDie("spec", field) }

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func valueOf[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

// first is the first error of a list, with a taken name before all others.
func first(errs []error) error {
	if i := slices.IndexFunc(errs, func(err error) bool { return errors.Is(err, directory.ErrExists) }); i >= 0 {
		return errs[i]
	}
	if i := slices.IndexFunc(errs, func(err error) bool { return err != nil }); i >= 0 {
		return errs[i]
	}
	return nil
}
