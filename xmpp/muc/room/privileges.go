package room

import (
	"github.com/chat-operator/chat-operator/xmpp/jid"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
)

// The tables of XEP-0045 §5: who may change whose role and affiliation to what. A change that isn't in them is refused.

// roleChange is what it takes to change the role of an occupant.
type roleChange struct {
	from, to Role
	// actor is the least affiliation; None: any moderator.
	actor Affiliation
	// above: the actor's affiliation has to be greater than the target's; otherwise not smaller (§8.2, §8.4).
	above bool
	// target is the greatest affiliation of the target: nobody takes moderation or voice from an admin or owner (§8.4, §9.7).
	target Affiliation
}

// roleChanges is the table of §5.1.3. Kicks, voice and moderation are §8.2 to §8.4, §9.6 and §9.7.
var roleChanges = []roleChange{
	{Visitor, NoRole, None, false, Owner},
	{Participant, NoRole, None, false, Owner},
	{Moderator, NoRole, Admin, false, Owner},
	{Visitor, Participant, None, false, Owner},
	{Participant, Visitor, None, true, Member},
	{Visitor, Moderator, Admin, false, Owner},
	{Participant, Moderator, Admin, false, Owner},
	{Moderator, Participant, Admin, true, Member},
	{Moderator, Visitor, Admin, true, Member},
}

// mayChangeRole says why an occupant may not give another one a role.
func mayChangeRole(actor, target *occupant, to Role) *stanza.Error {
	if actor.role < Moderator {
		return stanza.NewError(stanza.ConditionForbidden, "only moderators may do this")
	}
	if target.role == to {
		return nil
	}
	for _, c := range roleChanges {
		if c.from != target.role || c.to != to {
			continue
		}
		switch {
		case actor.affiliation < c.actor && !(to == NoRole && actor.affiliation < target.affiliation): // §8.2: that is not-allowed
			return stanza.NewError(stanza.ConditionForbidden, "only admins and owners of the room may do this")
		case actor.affiliation < target.affiliation, c.above && actor.affiliation == target.affiliation, target.affiliation > c.target:
			return stanza.NewError(stanza.ConditionNotAllowed, "this is not possible with somebody of this affiliation")
		}
		return nil
	}
	return stanza.NewError(stanza.ConditionNotAllowed, "this change of role does not exist")
}

// mayChangeAffiliation says why somebody of an affiliation may not change another's from one to another (§5.2.2): admins
// deal with outcasts, members and the unaffiliated, owners with everybody.
func mayChangeAffiliation(actor, from, to Affiliation) *stanza.Error {
	switch {
	case actor < Admin:
		return stanza.NewError(stanza.ConditionForbidden, "only admins and owners of the room may do this")
	case actor == Owner, from == to:
		return nil
	case from >= Admin, to >= Admin:
		return stanza.NewError(stanza.ConditionNotAllowed, "only owners of the room may do this")
	}
	return nil
}

// Permitted checks a wish against a configuration, which may be another than the one it was made under. admin says that
// the wish's author (still) administers the service.
func (w *Wish) Permitted(c *Config, admin bool) *stanza.Error {
	actor := c.Affiliations.Of(w.By)
	if admin {
		actor = Owner
	}
	switch {
	case w.Cause == CauseInvite:
		return w.mayInvite(c, actor)
	case w.Cause == CauseRegister && c.RegistrationEnabled && actor == None:
		return nil
	case w.Cause == CauseRegister:
		return stanza.NewError(stanza.ConditionNotAllowed, "you cannot register with this room")
	case w.Cause == CauseUnregister && actor == Member:
		return nil
	case w.Cause == CauseUnregister:
		return stanza.NewError(stanza.ConditionNotAllowed, "you are not registered with this room")
	case actor < Owner && (w.Destroy || !w.Change.IsZero()):
		return stanza.NewError(stanza.ConditionForbidden, "only owners may do this")
	}
	for _, e := range w.Affiliations {
		if fault := mayChangeAffiliation(actor, c.Affiliations.Of(e.JID), e.Affiliation); fault != nil {
			return fault
		}
		if e.Affiliation == Outcast && e.JID == w.By.Bare() {
			return stanza.NewError(stanza.ConditionConflict, "you cannot ban yourself") // §9.1
		}
	}
	return keepsOwner(c, w.Affiliations)
}

// mayInvite checks the members that an invitation makes: nobody is demoted by one, and only admins lift a ban.
func (w *Wish) mayInvite(c *Config, actor Affiliation) *stanza.Error {
	if actor < Admin && (!c.CanInvite || actor < Member) {
		return stanza.NewError(stanza.ConditionForbidden, "you may not invite to this room")
	}
	for _, e := range w.Affiliations {
		switch now := c.Affiliations.Of(e.JID); {
		case now > Member || e.Affiliation != Member:
			return stanza.NewError(stanza.ConditionConflict, "somebody whom you invite has another affiliation by now")
		case now == Outcast && actor < Admin:
			return stanza.NewError(stanza.ConditionForbidden, "somebody whom you invite is banned from this room")
		}
	}
	return nil
}

// keepsOwner refuses to leave a room that has an owner without any (XEP-0045 §10.4, §5.2.1).
func keepsOwner(c *Config, changes []Entry) *stanza.Error {
	touched := false
	for _, e := range changes {
		touched = touched || e.Affiliation != Owner && c.Affiliations.Of(e.JID) == Owner
	}
	if touched && !c.Affiliations.With(changes).has(Owner) {
		return stanza.NewError(stanza.ConditionConflict, "a room cannot be left without an owner: make somebody else an owner first")
	}
	return nil
}

// mayList says who may read the list of an affiliation (§5.2.1, §9.2, §9.5, §10.5, §10.8): admins and owners every one;
// members that of members, where real addresses are open to all anyway.
func (r *Room) mayList(actor, list Affiliation) bool {
	return actor >= Admin || list >= Member && actor == Member && !r.cfg.anonymous()
}

// MayRead says why somebody may not read the room's archive: who may not enter may not read either.
func (r *Room) MayRead(user jid.JID, admin bool) *stanza.Error {
	a := r.affiliation(user, admin)
	switch {
	case r.ended || r.locked && a < Owner:
		return stanza.NewError(stanza.ConditionItemNotFound, "this room does not exist")
	case a == Outcast:
		return stanza.NewError(stanza.ConditionForbidden, "you are banned from this room")
	case a < Member && r.cfg.MembersOnly, a < Member && r.cfg.Password != "" && r.find(user) == nil:
		return stanza.NewError(stanza.ConditionForbidden, "only occupants and members may read what was said in this room")
	}
	return nil
}

// SeesJIDs reports whether real addresses may be shown to somebody, in the archive for one.
func (r *Room) SeesJIDs(full jid.JID, admin bool) bool {
	o := r.find(full)
	return !r.cfg.anonymous() || o != nil && o.role == Moderator || r.affiliation(full, admin) >= Admin
}
