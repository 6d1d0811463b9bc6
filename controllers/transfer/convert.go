package transfer

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
	"github.com/chat-operator/chat-operator/controllers/provision"
	"github.com/chat-operator/chat-operator/xmpp/auth"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
)

// conversion makes an export of what another server gives out.
type conversion struct {
	out    sink
	source string
	// domain is this server's, from the other's. Addresses of the one become those of the other; empty: they are the same.
	domain, from string
	// declared makes manifests for a repository: they belong to whoever applies them. Otherwise, what is made is this program's, and may be
	// changed through REST and by clients.
	declared bool
	// declareContacts puts contacts into the resources of users, instead of into the database.
	declareContacts bool
	// there is what the namespace has already; nil: nothing is known of it.
	there *resources
	// lock locks users without a password that could be taken over; otherwise, one is generated for each.
	lock bool
	// keys are SCRAM keys that came beside the users.
	keys map[string]auth.Credential

	notes    *notes
	progress *progress

	resources *resources
	people    peopleWriter
	data      bool // somebody has data
	names     map[string]bool
	domains   map[string]int // of addresses
	// generated and locked are users who have no password from the other server.
	generated, locked []string
	now               time.Time
}

// foreignUser is a user as another server has it. Its person has the username as it came.
type foreignUser struct {
	*person
	name, email string
	admin       bool
	created     time.Time
	properties  []v1alpha1.Property
}

func (c *conversion) begin() {
	c.resources, c.names = newResources(), map[string]bool{}
	c.people = peopleWriter{sink: c.out, domain: c.domain}
	if c.now.IsZero() {
		c.now = time.Now()
	}
}

// finish writes what is collected.
func (c *conversion) finish() error {
	c.remarkDomain()
	if err := c.people.finish(); err != nil {
		return err
	}
	c.progress.begin("manifests", c.resources.count())
	if err := c.resources.write(c.out, c.progress.step); err != nil {
		return err
	}
	c.progress.end()
	slices.Sort(c.generated)
	slices.Sort(c.locked)
	if err := putIndex(c.out, index{Format: formatVersion, Source: c.source, Domain: c.domain, Secrets: true, Resources: true, Data: c.data}); err != nil {
		return err
	}
	return c.out.close()
}

// user adds a user.
func (c *conversion) user(u *foreignUser) error {
	username, err := jid.PrepareLocal(strings.TrimSpace(u.username))
	if err != nil {
		c.notes.add(fmt.Sprintf("The user %q is left out, since that is no username: %v", u.username, err))
		return nil
	}
	if c.names[username] {
		c.notes.add(fmt.Sprintf("The user %q is left out, since there is another one of that name", u.username))
		return nil
	}
	c.names[username] = true
	own := username + "@" + c.domain
	u.username = username

	resource := &v1alpha1.ChatUser{}
	resource.Name = v1alpha1.EncodeName(username)
	if resource.Name != username {
		resource.Spec.Username = &username
	}
	resource.Spec.DisplayName = optional(u.name)
	resource.Spec.Email = optional(u.email)
	if u.admin {
		resource.Spec.Admin = new(true)
	}
	resource.Spec.Properties = u.properties
	c.fitUser(&resource.Spec, username)
	c.mark(resource, u.created)
	c.credentials(resource, u)
	u.contacts = c.contacts(u, own)
	if c.declareContacts {
		c.declare(resource, u.person)
	}
	c.messages(u.person)
	c.move(u.person)
	c.resources.add(resource)
	// How to log in stands in the Secret.
	u.password, u.credential = "", auth.Credential{}
	if u.person.empty() {
		return nil
	}
	c.data = true
	return c.people.put(u.person, u.belongings())
}

// mark says whose a resource is and since when there is what it declares.
func (c *conversion) mark(o interface {
	SetAnnotations(map[string]string)
	SetLabels(map[string]string)
}, created time.Time,
) {
	if !created.IsZero() {
		o.SetAnnotations(map[string]string{v1alpha1.CreatedAtAnnotation: created.UTC().Format(time.RFC3339)})
	}
	if !c.declared {
		o.SetLabels(map[string]string{v1alpha1.ManagedByLabel: v1alpha1.ManagedBy})
	}
}

// credentials makes the Secret of a user: of keys where there are some, else of a password.
func (c *conversion) credentials(resource *v1alpha1.ChatUser, u *foreignUser) {
	credential := u.credential
	if credential.IsZero() {
		credential = c.keys[u.username]
	}
	secretName := resource.Name + "-login"
	if credential.IsZero() && u.password != "" {
		salt, iterations := c.factors(secretName)
		var err error
		if credential, err = auth.Derive(u.password, salt, iterations); err != nil {
			c.notes.add(fmt.Sprintf("The password of %s cannot be taken over: %v", u.username, err))
		}
	}
	switch {
	case !credential.IsZero():
		secret := provision.VerifierSecret(secretName, resource.Name, credential)
		if c.declared {
			secret.Labels, secret.Annotations, secret.Type = nil, nil, ""
		}
		c.resources.add(secret)
		resource.Spec.Credentials = &v1alpha1.UserCredentials{SecretRef: v1alpha1.LocalSecretReference{Name: secret.Name}}
	case c.lock:
		resource.Spec.Locked = new(true)
		c.locked = append(c.locked, u.username)
	default:
		c.generated = append(c.generated, u.username)
	}
}

// factors are salt and iterations of the verifiers in a Secret that is there, by which the same password has the same verifiers; none: it gets new
// ones. A salt that were made of the password itself would help to guess it.
func (c *conversion) factors(secret string) (salt []byte, iterations int) {
	if c.there == nil || c.there.Secrets[secret] == nil {
		return nil, 0
	}
	data := c.there.Secrets[secret].Data
	one, err := auth.ParseVerifier(auth.SHA256, string(data[v1alpha1.ScramSHA256Key]))
	other, failed := auth.ParseVerifier(auth.SHA1, string(data[v1alpha1.ScramSHA1Key]))
	if err != nil || failed != nil || one.Iterations != other.Iterations || !bytes.Equal(one.Salt, other.Salt) {
		return nil, 0
	}
	return one.Salt, one.Iterations
}

// contacts gives the contacts of a user as they are here, each once and nobody their own.
func (c *conversion) contacts(u *foreignUser, own string) (list []contact) {
	known := map[string]bool{own: true}
	for _, one := range u.contacts {
		address, err := c.address(one.jid)
		if err != nil {
			c.notes.add(fmt.Sprintf("The contact %q of %s is left out, since that is no address: %v", one.jid, u.username, err))
			continue
		}
		if known[address] {
			continue
		}
		known[address] = true
		one.jid = address
		list = append(list, one)
	}
	return list
}

// Bounds of a declared roster, as the schema of ChatUser has them.
const (
	maxDeclaredContacts = 1000
	maxDeclaredName     = 255
	maxDeclaredGroups   = 32
)

// declare moves contacts into the resource, as far as they can be declared. What is pending cannot.
func (c *conversion) declare(resource *v1alpha1.ChatUser, p *person) {
	words := []v1alpha1.Subscription{v1alpha1.SubscriptionNone, v1alpha1.SubscriptionTo, v1alpha1.SubscriptionFrom, v1alpha1.SubscriptionBoth}
	p.contacts = slices.DeleteFunc(p.contacts, func(one contact) bool {
		long := func(text string) bool { return len([]rune(text)) > maxDeclaredName }
		if one.ask || one.approved || one.hidden || one.pendingIn || len(resource.Spec.Roster) >= maxDeclaredContacts ||
			long(one.name) || len(one.groups) > maxDeclaredGroups || slices.ContainsFunc(one.groups, long) {
			return false
		}
		resource.Spec.Roster = append(resource.Spec.Roster, v1alpha1.Contact{
			JID: one.jid, Nickname: optional(one.name), Subscription: &words[one.subscription], Groups: one.groups,
		})
		return true
	})
}

// idEpoch and idShift are how numbers of messages come about: microseconds since 2020, and bits that tell servers apart.
const (
	idEpoch = 1577836800_000000
	idShift = 12
	// idLatest is the last time that has a number, in 2091, less room for those that follow each other.
	idLatest = 1<<(63-idShift) - 1<<30
)

// messages gives offline messages the numbers and times that the server keeps them by.
func (c *conversion) messages(p *person) {
	last := int64(0)
	for i := range p.messages {
		m := &p.messages[i]
		if m.received == 0 {
			m.received = c.delayed(m.stanza).UnixMicro()
		}
		last = max(min(m.received-idEpoch, idLatest), last+1)
		if m.id == 0 {
			m.id = last << idShift
		}
	}
}

// delayed is when a message came, as it says itself (XEP-0203).
func (c *conversion) delayed(message []byte) time.Time {
	e, err := parseKept(message)
	if err != nil {
		return c.now
	}
	if at, ok := stanza.ParseStamp(e.Child(nsDelay, "delay").Attr("stamp")); ok {
		return at
	}
	return c.now
}

func optional(text string) *string {
	if text = strings.TrimSpace(text); text == "" {
		return nil
	}
	return &text
}

// convertPeople makes an export of XEP-0227 documents of another server: its users with their credentials, and what belongs to them.
func (c *conversion) convertPeople(each func(do func(host string, p *person) error) error) error {
	c.begin()
	c.progress.begin("users", 0)
	err := each(func(host string, p *person) error {
		c.progress.step()
		switch {
		case host == "":
			return errors.New("a user stands outside of a host")
		case c.from == "":
			c.from = host
		case host != c.from:
			c.notes.add(fmt.Sprintf("The users of the host %q are left out: one export is of one domain; give --source-domain to read in another one", host))
			return nil
		}
		if c.domain == "" {
			c.domain = c.from
			c.people.domain = c.domain
		}
		return c.user(&foreignUser{person: p})
	})
	if err != nil {
		return err
	}
	if c.domain == "" {
		return errors.New("there are no users in it")
	}
	return c.finish()
}
