package entity

import "strings"

// RoomResult is what became of one room of a bulk.
type RoomResult struct {
	RoomName string
	// Failed results stand under "failure", others under "success".
	Failed  bool
	Message string
}

// RoomResults is what became of a bulk: root "results". There are three lists, of which the last is always empty.
type RoomResults []RoomResult

func (r RoomResult) fields(w fieldWriter) {
	kind := "Success"
	if r.Failed {
		kind = "Failure"
	}
	w.text("roomName", r.RoomName)
	w.text("resultType", kind)
	w.text("message", r.Message)
}

func (r RoomResult) writeXML(w *xmlWriter) {
	w.start("result")
	r.fields(w)
	w.end("result")
}

func (r RoomResult) writeJSON(w *jsonWriter) {
	w.begin('{')
	r.fields(w)
	w.end('}')
}

func (l RoomResults) split() (success, failure []RoomResult) {
	for _, r := range l {
		if r.Failed {
			failure = append(failure, r)
		} else {
			success = append(success, r)
		}
	}
	return success, failure
}

func (l RoomResults) writeXML(w *xmlWriter) {
	success, failure := l.split()
	w.start("results")
	xmlList(w, "success", success)
	xmlList(w, "failure", failure)
	xmlList(w, "other", []RoomResult(nil))
	w.end("results")
}

func (l RoomResults) writeJSON(w *jsonWriter) {
	success, failure := l.split()
	w.begin('{')
	jsonItems(w, "success", success)
	jsonItems(w, "failure", failure)
	jsonItems(w, "other", []RoomResult(nil))
	w.end('}')
}

// Participant is an occupant in the role of a participant: root "participant".
type Participant struct {
	JID, Role, Affiliation string
}

func (p Participant) writeXML(w *xmlWriter) {
	w.start("participant")
	w.text("affiliation", p.Affiliation)
	w.text("jid", p.JID)
	w.text("role", p.Role)
	w.end("participant")
}

func (p Participant) writeJSON(w *jsonWriter) {
	w.begin('{')
	w.text("jid", p.JID)
	w.text("role", p.Role)
	w.text("affiliation", p.Affiliation)
	w.end('}')
}

// Participants is a list of participants: root "participants".
type Participants []Participant

func (l Participants) writeXML(w *xmlWriter) { xmlList(w, "participants", l) }

func (l Participants) writeJSON(w *jsonWriter) { jsonList(w, "participants", l) }

// Occupant is somebody in a room, in whatever role: root "occupant".
type Occupant struct {
	JID, UserAddress, Role, Affiliation string
}

func (o Occupant) writeXML(w *xmlWriter) {
	w.start("occupant")
	w.text("affiliation", o.Affiliation)
	w.text("jid", o.JID)
	w.text("role", o.Role)
	w.text("userAddress", o.UserAddress)
	w.end("occupant")
}

func (o Occupant) writeJSON(w *jsonWriter) {
	w.begin('{')
	w.text("jid", o.JID)
	w.text("userAddress", o.UserAddress)
	w.text("role", o.Role)
	w.text("affiliation", o.Affiliation)
	w.end('}')
}

// Occupants is a list of occupants: root "occupants".
type Occupants []Occupant

func (l Occupants) writeXML(w *xmlWriter) { xmlList(w, "occupants", l) }

func (l Occupants) writeJSON(w *jsonWriter) { jsonList(w, "occupants", l) }

// RoomMessage is a message of a room's history: root "message". What is empty is left out.
type RoomMessage struct {
	To, From, Type, Body, DelayStamp, DelayFrom string
}

func (m RoomMessage) fields(w fieldWriter) {
	w.optional("to", m.To)
	w.optional("from", m.From)
	w.optional("type", m.Type)
	w.optional("body", m.Body)
	w.optional("delay_stamp", m.DelayStamp)
	w.optional("delay_from", m.DelayFrom)
}

func (m RoomMessage) writeXML(w *xmlWriter) {
	w.start("message")
	m.fields(w)
	w.end("message")
}

func (m RoomMessage) writeJSON(w *jsonWriter) {
	w.begin('{')
	m.fields(w)
	w.end('}')
}

// RoomMessages is a room's history: root "messages", in JSON "message".
type RoomMessages []RoomMessage

func (l RoomMessages) writeXML(w *xmlWriter) { xmlList(w, "messages", l) }

func (l RoomMessages) writeJSON(w *jsonWriter) { jsonList(w, "message", l) }

// Affiliated is who has one affiliation. List and Item are the names of the list and of an entry, such as "members" and "member".
type Affiliated struct {
	List, Item string
	JIDs       []string
}

func (a Affiliated) writeXML(w *xmlWriter) { w.strings(a.List, a.Item, a.JIDs) }

func (a Affiliated) writeJSON(w *jsonWriter) {
	w.begin('{')
	w.strings(a.List, a.Item, a.JIDs)
	w.end('}')
}

// Affiliated reads the list of an affiliation. present is false when the body has no such list.
func (b *Body) Affiliated(list, item string) (jids []string, present bool, err error) {
	d := b.decoder()
	var o *object
	if b.value.kind == listValue {
		o = &object{decoder: d, node: node{kind: objectValue, members: []member{{name: list, node: b.value}}}, used: make([]bool, 1)}
	} else {
		o = d.root(list)
	}
	jids, present = o.strings(list, item)
	// The others are lists as well, which are not asked for here.
	for _, other := range []string{"owners", "admins", "members", "outcasts"} {
		o.strings(other, strings.TrimSuffix(other, "s"))
	}
	o.done()
	return jids, present || b.rootIs(list), b.finish(d)
}

// Invitation is an invitation to a room: root "mucInvitation", with several people "mucInvitations".
type Invitation struct {
	Reason string
	JIDs   []string
}

// Invitation reads an invitation, for several people where the body names them. Either root will do.
func (b *Body) Invitation() (Invitation, error) {
	d := b.decoder()
	root := "mucInvitation"
	if b.rootIs("mucInvitations") {
		root = b.root
	}
	o := d.root(root)
	i := Invitation{Reason: value(o.text("reason"))}
	i.JIDs, _ = o.strings("jidsToInvite", "jid")
	o.done()
	return i, b.finish(d)
}

// ChatService is a chat service: root "chatService".
type ChatService struct {
	ServiceName string
	// Description is nil when a request doesn't have it.
	Description *string
	Hidden      bool
}

func (s ChatService) fields(w fieldWriter) {
	w.text("serviceName", s.ServiceName)
	w.optional("description", value(s.Description))
	w.boolean("hidden", s.Hidden)
}

func (s ChatService) writeXML(w *xmlWriter) {
	w.start("chatService")
	s.fields(w)
	w.end("chatService")
}

func (s ChatService) writeJSON(w *jsonWriter) {
	w.begin('{')
	s.fields(w)
	w.end('}')
}

// ChatServices is a list of chat services: root "chatServices", in JSON "chatService".
type ChatServices []ChatService

func (l ChatServices) writeXML(w *xmlWriter) { xmlList(w, "chatServices", l) }

func (l ChatServices) writeJSON(w *jsonWriter) { jsonList(w, "chatService", l) }

// ChatService reads a chat service.
func (b *Body) ChatService() (ChatService, error) {
	d := b.decoder()
	o := d.root("chatService")
	s := ChatService{ServiceName: value(o.text("serviceName")), Description: o.text("description"), Hidden: o.boolean("hidden")}
	o.done()
	return s, b.finish(d)
}
