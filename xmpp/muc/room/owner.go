package room

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// owner configures or destroys the room (XEP-0045 §10.1, §10.2, §10.9).
func (r *Room) owner(by *Sender, s *stanza.Stanza, q xmlstream.Element, set bool, out []Output) []Output {
	if r.affiliation(by.From, by.Admin) < Owner {
		return r.fail(s, stanza.NewError(stanza.ConditionForbidden, "only owners may configure or destroy this room"), out)
	}
	if !set {
		return r.result(s, r.configForm(), out)
	}
	if d := q.Child(nsOwner, "destroy"); d.Valid() {
		p := wish{destroy: &Destruction{Reason: cut(d.Child(nsOwner, "reason").Text()), Password: cut(d.Child(nsOwner, "password").Text())}}
		if at := d.Attr("jid"); at != nil {
			var err error
			if p.destroy.Alternate, err = parseJID(at); err != nil {
				return r.fail(s, stanza.NewError(stanza.ConditionJIDMalformed, err.Error()), out)
			}
		}
		return r.want(by, s, &Wish{Destroy: true}, p, out)
	}
	x := q.Child(stanza.NSDataForms, "x")
	if !x.Valid() {
		return r.fail(s, stanza.NewError(stanza.ConditionBadRequest, "there is nothing here to configure or destroy"), out)
	}
	f, fault := readForm(x, formConfig)
	switch {
	case fault != nil:
		return r.fail(s, fault, out)
	case f.Type == stanza.FormCancel && r.locked: // §10.1.3
		return r.result(s, nil, r.evict(notice{extra: []byte("<destroy/>")}, &Ended{Destroyed: true}, out))
	case f.Type == stanza.FormCancel:
		return r.result(s, nil, out)
	case f.Type != stanza.FormSubmit:
		return r.fail(s, stanza.NewError(stanza.ConditionBadRequest, "submit or cancel this form"), out)
	}
	change, affiliations, fault := r.readConfig(f)
	if fault != nil {
		return r.fail(s, fault, out)
	}
	if change.IsZero() && len(affiliations) == 0 { // §10.1.2: what there is, is wanted
		r.locked = false
		return r.result(s, nil, out)
	}
	w := &Wish{Affiliations: affiliations}
	if !change.IsZero() {
		w.Change = change
	}
	return r.want(by, s, w, wish{unlock: true}, out)
}

// configForm is the form of an owner, filled with what is in force.
func (r *Room) configForm() []byte {
	c := r.cfg
	b := xmlstream.NewBuilder(nil).Open(nsOwner, "query")
	w := stanza.OpenForm(b, stanza.FormToFill, formConfig, "Configuration of "+r.addr.String(), "Change what you like, and submit this form.")
	w.Field("muc#roomconfig_roomname", "text-single", "Name", c.Name)
	w.Field("muc#roomconfig_roomdesc", "text-single", "Description", c.Description)
	w.Field("muc#roomconfig_lang", "text-single", "Language of discussion", c.Lang)
	w.Boolean("muc#roomconfig_persistentroom", "Stays when the last occupant has left", c.Persistent)
	w.Boolean("muc#roomconfig_publicroom", "Can be found", c.Listed)
	w.Boolean("muc#roomconfig_membersonly", "Only members may enter", c.MembersOnly)
	w.Boolean("muc#roomconfig_moderatedroom", "Visitors need voice to speak", c.Moderated)
	w.Boolean("muc#roomconfig_passwordprotectedroom", "A password is needed to enter", c.Password != "")
	w.Field("muc#roomconfig_roomsecret", "text-private", "Password", c.Password)
	w.Choice("muc#roomconfig_maxusers", "list-single", "Greatest number of occupants", sizeOptions(c.MaxOccupants), sizeName(c.MaxOccupants))
	w.Choice("muc#roomconfig_whois", "list-single", "Who sees real addresses", [][2]string{{"Anyone", "anyone"}, {"Moderators", "moderators"}},
		whoisName(c))
	w.Choice("muc#roomconfig_allowpm", "list-single", "Who may send private messages",
		[][2]string{{"Anyone", "anyone"}, {"Participants", "participants"}, {"Moderators", "moderators"}, {"Nobody", "none"}},
		strings.ToLower(string(c.PrivateMessages)))
	var roles []string
	for _, role := range c.PresenceBroadcast {
		roles = append(roles, strings.ToLower(string(role)))
	}
	w.Choice("muc#roomconfig_presencebroadcast", "list-multi", "Roles whose presence is told to the others",
		[][2]string{{"Moderator", "moderator"}, {"Participant", "participant"}, {"Visitor", "visitor"}}, roles...)
	w.Boolean("muc#roomconfig_changesubject", "Participants may change the subject", c.CanChangeSubject)
	w.Boolean("muc#roomconfig_allowinvites", "Occupants may invite others", c.CanInvite)
	w.Boolean("muc#roomconfig_enablelogging", "What is said is archived", c.Archived)
	w.Field("muc#maxhistoryfetch", "text-single", "Messages of history sent to newcomers", strconv.Itoa(max(c.History, 0)))
	w.Boolean("x-muc#roomconfig_canchangenick", "Occupants may change their nickname", c.CanChangeNickname)
	w.Boolean("x-muc#roomconfig_reservednick", "Users have to use the nickname that they registered", c.NicknameRestricted)
	w.Boolean("x-muc#roomconfig_registration", "Users may register as members", c.RegistrationEnabled)
	w.Field("muc#roomconfig_roomadmins", "jid-multi", "Admins", addresses(c.Affiliations, Admin)...)
	w.Field("muc#roomconfig_roomowners", "jid-multi", "Owners", addresses(c.Affiliations, Owner)...)
	return b.Bytes()
}

// addresses are those that have an affiliation by an entry of their own: what a form can change.
func addresses(a *Affiliations, of Affiliation) []string {
	var list []string
	for _, e := range a.Entries() {
		if e.Affiliation == of {
			list = append(list, e.JID.String())
		}
	}
	return list
}

func whoisName(c *Config) string {
	if c.anonymous() {
		return "moderators"
	}
	return "anyone"
}

func sizeName(n int) string {
	if n <= 0 {
		return "none"
	}
	return strconv.Itoa(n)
}

// sizeOptions are the numbers of XEP-0045 §10.1.3, and the present one.
func sizeOptions(now int) [][2]string {
	sizes := []int{10, 20, 30, 50, 100, 200, 500}
	if now > 0 && !slices.Contains(sizes, now) {
		sizes = append(sizes, now)
		slices.Sort(sizes)
	}
	options := make([][2]string, 0, len(sizes)+1)
	for _, n := range sizes {
		options = append(options, [2]string{strconv.Itoa(n), strconv.Itoa(n)})
	}
	return append(options, [2]string{"No limit", "none"})
}

// Limits of what an owner may set: those of the resource that declares a room.
const (
	maxName        = 255 // characters, as those of the other texts
	maxDescription = 2048
	maxPassword    = 255
	maxLang        = 35 // BCP 47's recommendation
	maxHistory     = 1000
	maxOccupants   = 100_000
)

// readConfig reads what a submitted form changes. Fields that the room doesn't know are ignored, fields that aren't there
// stay (XEP-0045 §10.2).
func (r *Room) readConfig(f *stanza.Form) (*Change, []Entry, *stanza.Error) {
	p := configReader{f: f, room: r, change: &Change{}}
	c := r.cfg
	p.text("muc#roomconfig_roomname", maxName, c.Name, &p.change.Name)
	p.text("muc#roomconfig_roomdesc", maxDescription, c.Description, &p.change.Description)
	p.text("muc#roomconfig_lang", maxLang, c.Lang, &p.change.Lang)
	p.flag("muc#roomconfig_persistentroom", c.Persistent, &p.change.Persistent)
	p.flag("muc#roomconfig_publicroom", c.Listed, &p.change.Listed)
	p.flag("muc#roomconfig_membersonly", c.MembersOnly, &p.change.MembersOnly)
	p.flag("muc#roomconfig_moderatedroom", c.Moderated, &p.change.Moderated)
	p.flag("muc#roomconfig_changesubject", c.CanChangeSubject, &p.change.CanChangeSubject)
	p.flag("muc#roomconfig_allowinvites", c.CanInvite, &p.change.CanInvite)
	p.flag("muc#roomconfig_enablelogging", c.Archived, &p.change.Archived)
	p.flag(fieldArchiving, c.Archived, &p.change.Archived)
	p.flag("x-muc#roomconfig_canchangenick", c.CanChangeNickname, &p.change.CanChangeNickname)
	p.flag("x-muc#roomconfig_reservednick", c.NicknameRestricted, &p.change.NicknameRestricted)
	p.flag("x-muc#roomconfig_registration", c.RegistrationEnabled, &p.change.RegistrationEnabled)
	p.number("muc#maxhistoryfetch", maxHistory, max(c.History, 0), &p.change.History)
	p.number("muc#roomconfig_maxusers", maxOccupants, c.MaxOccupants, &p.change.MaxOccupants)
	p.password()
	p.lists()
	return p.change, p.affiliations(), p.fault
}

// configReader reads fields until one is at fault.
type configReader struct {
	f      *stanza.Form
	room   *Room
	change *Change
	fault  *stanza.Error
}

func (p *configReader) refuse(field, why string) {
	if p.fault == nil {
		p.fault = stanza.NewError(stanza.ConditionNotAcceptable, field+": "+why)
	}
}

func (p *configReader) text(field string, most int, now string, to **string) {
	if !p.f.Has(field) {
		return
	}
	v := p.f.First(field)
	if utf8.RuneCountInString(v) > most {
		p.refuse(field, "use at most "+strconv.Itoa(most)+" characters")
	} else if v != now {
		*to = &v
	}
}

func (p *configReader) flag(field string, now bool, to **bool) {
	if !p.f.Has(field) {
		return
	}
	v, ok := stanza.ParseBool(p.f.First(field))
	if !ok {
		p.refuse(field, "use 0 or 1")
	} else if v != now {
		*to = &v
	}
}

func (p *configReader) number(field string, most, now int, to **int) {
	s := p.f.First(field)
	if !p.f.Has(field) || s == "" {
		return
	}
	n, err := strconv.Atoi(s)
	if s == "none" {
		n, err = 0, nil
	}
	if err != nil || n < 0 || n > most {
		p.refuse(field, "use a number from 0 to "+strconv.Itoa(most))
	} else if n != now {
		*to = &n
	}
}

// password reads the two fields of the password: the switch counts where both are there.
func (p *configReader) password() {
	const on, secret = "muc#roomconfig_passwordprotectedroom", "muc#roomconfig_roomsecret"
	now := p.room.cfg.Password
	v := now
	if p.f.Has(secret) {
		v = p.f.First(secret)
	}
	if p.f.Has(on) {
		switch protect, ok := stanza.ParseBool(p.f.First(on)); {
		case !ok:
			p.refuse(on, "use 0 or 1")
		case !protect:
			v = ""
		case v == "":
			p.refuse(secret, "a room that is protected by a password needs one")
		}
	}
	if len(v) > maxPassword {
		p.refuse(secret, "use at most "+strconv.Itoa(maxPassword)+" bytes")
	} else if v != now {
		p.change.Password = &v
	}
}

// lists reads the fields with a choice of values.
func (p *configReader) lists() {
	c := p.room.cfg
	if p.f.Has("muc#roomconfig_whois") {
		v := directory.JIDsAnyone
		switch p.f.First("muc#roomconfig_whois") {
		case "anyone":
		case "moderators":
			v = directory.JIDsModerators
		default:
			p.refuse("muc#roomconfig_whois", "use anyone or moderators")
		}
		if v != c.WhoSeesJIDs {
			p.change.WhoSeesJIDs = &v
		}
	}
	if p.f.Has("muc#roomconfig_allowpm") {
		v := directory.PrivateAnyone
		switch p.f.First("muc#roomconfig_allowpm") {
		case "anyone":
		case "participants":
			v = directory.PrivateParticipants
		case "moderators":
			v = directory.PrivateModerators
		case "none":
			v = directory.PrivateNone
		default:
			p.refuse("muc#roomconfig_allowpm", "use anyone, participants, moderators or none")
		}
		if v != c.PrivateMessages {
			p.change.PrivateMessages = &v
		}
	}
	if values, ok := p.f.Get("muc#roomconfig_presencebroadcast"); ok {
		roles := []directory.RoomRole{}
		for _, role := range []Role{Moderator, Participant, Visitor} {
			if slices.Contains(values, role.String()) {
				roles = append(roles, role.declared())
			}
		}
		for _, v := range values {
			if role, ok := ParseRole(v); !ok || role == NoRole {
				p.refuse("muc#roomconfig_presencebroadcast", "use moderator, participant and visitor")
			}
		}
		if !sameRoles(roles, c.PresenceBroadcast) {
			p.change.PresenceBroadcast = &roles
		}
	}
}

func sameRoles(a, b []directory.RoomRole) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

// affiliations reads the lists of owners and admins, which are whole where they are there (XEP-0045 §10.2).
func (p *configReader) affiliations() []Entry {
	want := map[jid.JID]Affiliation{}
	for _, list := range []struct {
		field string
		of    Affiliation
	}{{"muc#roomconfig_roomadmins", Admin}, {"muc#roomconfig_roomowners", Owner}} {
		values, ok := p.f.Get(list.field)
		if !ok {
			continue
		}
		for _, e := range p.room.cfg.Affiliations.Entries() {
			if _, set := want[e.JID]; e.Affiliation == list.of && !set {
				want[e.JID] = None
			}
		}
		for _, v := range values {
			j, err := jid.Parse(v)
			if err != nil || j.Local() == "" {
				p.refuse(list.field, "this is not a user's address: "+cut([]byte(v)))
				return nil
			}
			want[j.Bare()] = list.of
		}
	}
	var entries []Entry
	for j, a := range want {
		if p.room.cfg.Affiliations.Of(j) != a {
			entries = append(entries, Entry{j, a})
		}
	}
	slices.SortFunc(entries, compareEntries)
	return entries
}
