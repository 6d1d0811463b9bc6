package restserver

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"github.com/chat-operator/chat-operator/restserver/entity"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/muc"
)

// serviceName is the service that a call says, in whatever case, or the usual one.
func (c *call) serviceName() string {
	name, _ := c.query.get("servicename")
	return cmp.Or(strings.ToLower(name), directory.DefaultRoomService)
}

// chatService is the service of a call; it has to be there.
func (c *call) chatService() (string, error) {
	name := c.serviceName()
	if _, ok := c.server.findChatService(name); !ok {
		return "", problem(http.StatusNotFound, serviceNotFound, "Chat service does not exist or is not accessible.", name)
	}
	return name, nil
}

func (s *Server) findChatService(name string) (muc.ServiceInfo, bool) {
	list := s.Rooms.Services()
	i := slices.IndexFunc(list, func(one muc.ServiceInfo) bool { return one.Name == name })
	if i < 0 {
		return muc.ServiceInfo{}, false
	}
	return list[i], true
}

// ensureChatService creates a service if it is not there, with its name as its description. That takes a right of its own: a service is a setting.
func (c *call) ensureChatService(name string) error {
	if _, ok := c.server.findChatService(name); ok {
		return nil
	}
	if err := c.demand(Right{Verb: "create", Resource: resourceProperties, Change: true}); err != nil {
		return err
	}
	err := c.makeChatService(name, name, false)
	if f, ok := err.(*failure); ok && f.exception == alreadyExists { //nolint:errorlint // it is made right there
		return nil // somebody was quicker
	}
	return err
}

// listChatServices is GET /chatservices.
func listChatServices(c *call) (answer, error) {
	return listOf(c, c.server.Rooms.Services(), func(part []muc.ServiceInfo) entity.Entity {
		list := make(entity.ChatServices, len(part))
		for i, s := range part {
			list[i] = entity.ChatService{ServiceName: s.Name, Description: &s.Description, Hidden: s.Hidden}
		}
		return list
	})
}

// createChatService is POST /chatservices.
func createChatService(c *call) (answer, error) {
	const could = "Could not create the chat service"
	if c.body == nil {
		return answer{}, badRequest(could+", because the body has none", "chatservices")
	}
	e, err := c.body.ChatService()
	if err != nil {
		return answer{}, explain(err, refusal{resource: "chatservices"})
	}
	name := strings.ToLower(strings.TrimSpace(e.ServiceName))
	if name == "" {
		return answer{}, badRequest(could+", because serviceName is missing", "chatservices")
	}
	if err := c.makeChatService(name, cmp.Or(text(e.Description), name), e.Hidden); err != nil {
		return answer{}, err
	}
	return created()
}

// makeChatService declares a service, which is a property of the system. A property has no creation that fails for what is there, so those who create services
// take turns.
func (c *call) makeChatService(name, description string, hidden bool) error {
	key := directory.RoomServicePrefix + name
	if _, valid := (&directory.SystemProperty{Key: key}).RoomService(); !valid {
		return badRequest("this can be no name of a chat service, which is one label of a host name: letters, digits and hyphens", name)
	}
	release, err := c.server.services.take(c, name)
	if err != nil {
		return err
	}
	defer release()
	if _, there := c.server.findChatService(name); there {
		return problem(http.StatusConflict, alreadyExists, "Could not create the chat service", name)
	}
	hides := key + directory.RoomServiceHidden
	// The first thing that anybody sees of a hidden service has to be that it is hidden; what an earlier one of that name was does not count.
	_, wasHidden := c.server.Directory.Property(hides)
	if hidden || wasHidden {
		value := "false"
		if hidden {
			value = "true"
		}
		if err := c.server.Proposer.PutProperty(c.ctx, c.actor(), hides, value, false); err != nil {
			return explain(err, refusal{resource: name})
		}
	}
	err = c.server.Proposer.PutProperty(c.ctx, c.actor(), key, description, false)
	if took(err) {
		details := []string{detail("description", description)}
		if hidden {
			details = append(details, detail("hidden", "true"))
		}
		c.record("created MUC service "+name, details...)
	}
	if err != nil {
		return explain(err, refusal{resource: name, doing: "created"})
	}
	return nil
}
