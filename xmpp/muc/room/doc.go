// Package room is one multi-user chat room (XEP-0045) as a pure state machine: what happens goes in, what is to be done
// comes out. It does no I/O and knows no clock, lock, goroutine or randomness: time, ids and keys come with the events. So
// the same events in the same order always give the same outputs, byte for byte.
//
// A [Room] is driven by one caller at a time. Each method that takes an event appends [Output] values, which have to be
// carried out in their order before the next event. An output's lists and bytes stay valid for good, unless its
// documentation says otherwise; they are shared and must not be changed.
//
// A Room never changes its own configuration, be it declared or temporary. What a client wants to change leaves as a
// [Wish]; whoever runs the room brings the change about, or does not, feeds the new [Config] back with [Room.Reconfigured],
// and then answers with [Room.WishDone]. What a change does to occupants is therefore the same whoever made it.
//
// The events, all of them methods of *Room with the outputs so far as the last argument:
//
//	Stanza(by Sender, s *stanza.Stanza, out)       what a session sends to the room or to an occupant of it
//	Gone(session jid.JID, out)                     a session ended, or cannot be reached
//	Reconfigured(c *Config, out)                   the configuration, or what a group of it has in it, is another now
//	WishDone(id uint64, fault *stanza.Error, out)  what became of a wish; nil: it came true
//	Destroyed(d Destruction, out)                  the room was deleted; the room of a Wish that wants this knows its own reasons
//	SetSubject(d Declared, out)                    the declared subject changed
//	AdminChanged(user jid.JID, admin bool, out)    a user became, or is no longer, an administrator of the service
//	Say(m Notice, out)                             the service itself says something in the room
//	Kick(nick, reason string, out)                 the service itself removes an occupant
//	Invite(to jid.JID, reason string, out)         the service itself invites somebody
//	Shutdown(out)                                  the service ends (XEP-0045 §11.2)
//
// What only looks: Occupants, Occupant, Has, Len, Name, Subject, History, MayRead (the archive), SeesJIDs, Config, Features, Lists,
// Locked, Over, Pending.
package room
