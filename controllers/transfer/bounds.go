package transfer

import (
	"fmt"
	"unicode/utf8"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
)

// Bounds of what can be declared, in characters and entries, as the schemas of the kinds have them: the API server refuses a resource whole that has
// one thing too many. Other servers have no such bounds.
const (
	maxName             = 255 // that people see
	maxText             = 2048
	maxEmail            = 320
	maxUserProperties   = 128
	maxPropertyKey      = 255
	maxPropertyValue    = 4096
	maxMembers          = 5000
	maxMember           = 1023
	maxAffiliations     = 2000
	maxGroupAffiliation = 500
	maxPropertySize     = 32768
)

// cut gives as much of a text for people as can be declared.
func (c *conversion) cut(text *string, most int, what string) *string {
	if text == nil || utf8.RuneCountInString(*text) <= most {
		return text
	}
	c.notes.add(fmt.Sprintf("%s is cut to %d characters", what, most))
	return optional(string([]rune(*text)[:most]))
}

// first gives as many of a list as can be declared.
func first[T any](c *conversion, list []T, most int, what string) []T {
	if len(list) <= most {
		return list
	}
	c.notes.add(fmt.Sprintf("%s: the first %d of %d are taken, and the others left out", what, most, len(list)))
	return list[:most]
}

// short gives the entries of a list that are not too long.
func short[T any](c *conversion, list []T, text func(T) string, most int, what string) (kept []T) {
	for _, one := range list {
		if n := utf8.RuneCountInString(text(one)); n == 0 || n > most {
			c.notes.add(fmt.Sprintf("%s: %.40q is left out, since it has to have 1 to %d characters", what, text(one), most))
			continue
		}
		kept = append(kept, one)
	}
	return kept
}

func (c *conversion) fitUser(s *v1alpha1.ChatUserSpec, username string) {
	s.DisplayName = c.cut(s.DisplayName, maxName, "The name of the user "+username)
	if s.Email != nil && utf8.RuneCountInString(*s.Email) > maxEmail {
		c.notes.add(fmt.Sprintf("The email address of the user %s is left out, since it has more than %d characters", username, maxEmail))
		s.Email = nil
	}
	what := "The properties of the user " + username
	s.Properties = short(c, s.Properties, func(p v1alpha1.Property) string { return p.Key }, maxPropertyKey, what)
	kept := s.Properties[:0]
	for _, p := range s.Properties {
		if p.Value != nil && utf8.RuneCountInString(*p.Value) > maxPropertyValue {
			c.notes.add(fmt.Sprintf("The property %q of the user %s is left out, since its value has more than %d characters", p.Key, username, maxPropertyValue))
			continue
		}
		kept = append(kept, p)
	}
	s.Properties = first(c, kept, maxUserProperties, what)
}

func (c *conversion) fitGroup(s *v1alpha1.ChatGroupSpec, group string) {
	s.Description = c.cut(s.Description, maxText, fmt.Sprintf("The description of the group %q", group))
	itself := func(member string) string { return member }
	for what, list := range map[string]*[]string{"The members of the group %q": &s.Members, "The admins of the group %q": &s.Admins} {
		what = fmt.Sprintf(what, group)
		*list = first(c, short(c, *list, itself, maxMember, what), maxMembers, what)
	}
}

func (c *conversion) fitRoom(s *v1alpha1.ChatRoomSpec, room string) {
	s.DisplayName = c.cut(s.DisplayName, maxName, fmt.Sprintf("The name of the room %q", room))
	s.Description = c.cut(s.Description, maxText, fmt.Sprintf("The description of the room %q", room))
	s.Subject = c.cut(s.Subject, maxText, fmt.Sprintf("The subject of the room %q", room))
	// Owners come first in them, and members last.
	s.Affiliations = first(c, s.Affiliations, maxAffiliations, fmt.Sprintf("The affiliations of the room %q", room))
	what := fmt.Sprintf("The affiliations of groups of the room %q", room)
	s.GroupAffiliations = short(c, s.GroupAffiliations, func(a v1alpha1.RoomGroupAffiliation) string { return a.Group }, maxName, what)
	s.GroupAffiliations = first(c, s.GroupAffiliations, maxGroupAffiliation, what)
}

// countDomain keeps of which domains contacts and members are. While nobody has named the domain of the other server, those are as they came.
func (c *conversion) countDomain(domain string) {
	if c.domains == nil {
		c.domains = map[string]int{}
	}
	c.domains[domain]++
}

// remarkDomain says what to do about addresses of the other server's domain when nobody has told that: most people talk to those beside them.
func (c *conversion) remarkDomain() {
	if c.from != "" && c.from != c.domain {
		return
	}
	all := 0
	for _, n := range c.domains {
		all += n
	}
	for domain, n := range c.domains {
		if domain != c.domain && 2*n > all {
			c.notes.add(fmt.Sprintf("%d of %d contacts and members are of the domain %s: if that is the one that the other server had, give --source-domain=%[3]s, and they become users of %s",
				n, all, domain, c.domain))
		}
	}
}
