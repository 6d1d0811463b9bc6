package room

import (
	"crypto/sha1" //nolint:gosec // XEP-0153 §3.1 names the hash
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// Features are what disco#info says of the room (XEP-0045 §6.4).
func (r *Room) Features() []string {
	c := r.cfg
	pick := func(cond bool, yes, no string) string {
		if cond {
			return yes
		}
		return no
	}
	list := []string{
		stanza.NSDiscoInfo, stanza.NSDiscoItems, nsMUC, featureID, featurePing, nsOccupantID, stanza.NSStanzaID, nsModerate, nsModerate0, nsRetract,
		nsVCard, nsRegister, stanza.NSPing,
		pick(c.Password != "", "muc_passwordprotected", "muc_unsecured"),
		pick(c.Listed, "muc_public", "muc_hidden"),
		pick(c.Persistent, "muc_persistent", "muc_temporary"),
		pick(c.MembersOnly, "muc_membersonly", "muc_open"),
		pick(c.Moderated, "muc_moderated", "muc_unmoderated"),
		pick(c.anonymous(), "muc_semianonymous", "muc_nonanonymous"),
	}
	if c.Archived {
		list = append(list, nsMAM, nsMAM+"#extended", featureTomb)
	}
	return append(list, r.extra...)
}

func (r *Room) discoInfo(by *Sender, s *stanza.Stanza, q xmlstream.Element, out []Output) []Output {
	b := xmlstream.NewBuilder(nil).Open(stanza.NSDiscoInfo, "query")
	node := string(q.Attr("node"))
	if node != "" {
		b.Attr("node", node)
	}
	switch node {
	case "":
	case nodeNickname: // §7.12
		if nick, ok := r.reservedBy(by.From.Bare()); ok {
			b.Open(stanza.NSDiscoInfo, "identity").Attr("category", "conference").Attr("name", nick).Attr("type", "text")
		}
		return r.result(s, b.Bytes(), out)
	case nodeTraffic: // §16.1.1: nothing is discarded
		return r.fail(s, stanza.NewError(stanza.ConditionServiceUnavailable, ""), out)
	default:
		return r.fail(s, stanza.NewError(stanza.ConditionItemNotFound, "there is no such node"), out)
	}
	b.Open(stanza.NSDiscoInfo, "identity").Attr("category", "conference").Attr("name", r.Name()).Attr("type", "text").Close()
	for _, f := range r.Features() {
		b.Open(stanza.NSDiscoInfo, "feature").Attr("var", f).Close()
	}
	w := stanza.OpenForm(b, stanza.FormResult, formInfo, "", "")
	w.Field("muc#roominfo_description", "text-single", "Description", r.cfg.Description)
	w.Field("muc#roominfo_occupants", "text-single", "Number of occupants", strconv.Itoa(len(r.occupants)))
	if r.mayLook(by) {
		subject := ""
		if r.subject != nil {
			subject = r.subject.Plain
		}
		w.Field("muc#roominfo_subject", "text-single", "Current subject", subject)
	}
	w.Boolean("muc#roominfo_subjectmod", "Participants may change the subject", r.cfg.CanChangeSubject)
	w.Boolean("muc#roomconfig_changesubject", "Participants may change the subject", r.cfg.CanChangeSubject)
	if r.cfg.Archived {
		w.Boolean(fieldArchiving, "What is said is archived", true)
	}
	w.Field("muc#maxhistoryfetch", "text-single", "Messages of history sent to newcomers", strconv.Itoa(max(r.cfg.History, 0)))
	if r.cfg.Lang != "" {
		w.Field("muc#roominfo_lang", "text-single", "Language of discussion", r.cfg.Lang)
	}
	if len(r.cfg.Contacts) > 0 {
		list := make([]string, len(r.cfg.Contacts))
		for i, j := range r.cfg.Contacts {
			list[i] = j.String()
		}
		w.Field("muc#roominfo_contactjid", "jid-multi", "Contact addresses", list...)
	}
	if r.avatar != "" {
		w.Field("muc#roominfo_avatarhash", "text-multi", "Avatar hash", r.avatar) // XEP-0486 §3.4
	}
	return r.result(s, b.Bytes(), out)
}

// mayLook reports whether somebody may know what goes on inside.
func (r *Room) mayLook(by *Sender) bool {
	a := r.affiliation(by.From, by.Admin)
	return a >= Member || a == None && r.cfg.Listed && !r.cfg.MembersOnly && r.cfg.Password == "" || r.find(by.From) != nil
}

// discoItems tells who is in the room (XEP-0045 §6.5): only to who may enter it, and only in listed rooms to who isn't inside.
func (r *Room) discoItems(by *Sender, s *stanza.Stanza, out []Output) []Output {
	b := xmlstream.NewBuilder(nil).Open(stanza.NSDiscoItems, "query")
	if r.mayLook(by) {
		for _, o := range r.occupants {
			if o.told {
				b.Open(stanza.NSDiscoItems, "item").Attr("jid", o.addr.String()).Close()
			}
		}
	}
	return r.result(s, b.Bytes(), out)
}

// maxCard is the size of the largest vCard that a room keeps.
const maxCard = 128 << 10

// card reads or sets the room's vCard and with it its avatar (XEP-0486).
func (r *Room) card(by *Sender, s *stanza.Stanza, q xmlstream.Element, set bool, out []Output) []Output {
	if !set {
		if len(r.vcard) == 0 {
			return r.result(s, xmlstream.NewBuilder(nil).Open(nsVCard, "vCard").Bytes(), out)
		}
		return r.result(s, r.vcard, out)
	}
	if r.affiliation(by.From, by.Admin) < Owner {
		return r.fail(s, stanza.NewError(stanza.ConditionForbidden, "only owners are allowed to set avatars"), out)
	}
	card := q.Append(nil)
	switch {
	case len(card) > maxCard:
		return r.fail(s, stanza.NewError(stanza.ConditionNotAcceptable, "this vCard is too large for a room"), out)
	case !q.FirstChild().Valid():
		card = []byte{} // §3.3: an empty one takes it away
	}
	r.setVCard(card)
	out = append(out, &Remember{VCard: card})
	return r.announce([]int{codeConfig}, r.result(s, nil, out))
}

// setVCard keeps a vCard, and the hash of its photo (XEP-0153 §3.1).
func (r *Room) setVCard(card []byte) {
	r.vcard, r.avatar = card, ""
	if len(card) == 0 {
		return
	}
	e, err := xmlstream.Parse(card, xmlstream.Limits{MaxBytes: 1 << 20})
	if err != nil {
		return
	}
	text := strings.Join(strings.Fields(string(e.Child(nsVCard, "PHOTO").Child(nsVCard, "BINVAL").Text())), "")
	photo, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(photo) == 0 {
		return
	}
	sum := sha1.Sum(photo) //nolint:gosec // XEP-0153 §3.1 names the hash
	r.avatar = hex.EncodeToString(sum[:])
}
