package restserver

import (
	"net/http"
	"slices"
	"strings"

	"github.com/chat-operator/chat-operator/restserver/entity"
	"github.com/chat-operator/chat-operator/xmpp/directory"
)

// mask stands for a value that is nobody's business.
const mask = "********"

// shownProperties lists what is stored and what the server honours, by key.
func (s *Server) shownProperties() []entity.Property {
	settings := directory.Settings()
	stored := s.Directory.Properties()
	list := make([]entity.Property, 0, len(stored)+len(settings))
	for _, p := range stored {
		list = append(list, storedProperty(p, settings))
	}
	for _, known := range settings {
		if _, isStored := s.Directory.Property(known.Key); !isStored {
			list = append(list, entity.Property{Key: known.Key, Value: known.Default})
		}
	}
	slices.SortFunc(list, func(a, b entity.Property) int { return strings.Compare(a.Key, b.Key) })
	// A property that comes or goes meanwhile must not be there twice.
	return slices.CompactFunc(list, func(a, b entity.Property) bool { return a.Key == b.Key })
}

func storedProperty(p *directory.SystemProperty, settings []directory.Setting) entity.Property {
	if isSecret(p, settings) {
		return entity.Property{Key: p.Key, Value: mask}
	}
	return entity.Property{Key: p.Key, Value: p.Value}
}

func isSecret(p *directory.SystemProperty, settings []directory.Setting) bool {
	return p.Secret || slices.ContainsFunc(settings, func(s directory.Setting) bool { return s.Key == p.Key && s.Secret })
}

// soundsSecret says whether a key that the server doesn't know is one whose value people don't want in a log, such
// as xmpp.gateway.password. Whoever may read the property still sees it there.
func soundsSecret(key string) bool {
	key = strings.ToLower(key)
	return slices.ContainsFunc([]string{"passw", "secret", "token", "credential", "apikey", "api-key", "api_key", "privatekey", "cookiekey"},
		func(word string) bool { return strings.Contains(key, word) })
}

// honours says whether the server has a setting of that key.
func honours(key string) (directory.Setting, bool) {
	settings := directory.Settings()
	i := slices.IndexFunc(settings, func(s directory.Setting) bool { return s.Key == key })
	if i < 0 {
		return directory.Setting{}, false
	}
	return settings[i], true
}

// listProperties is GET /system/properties.
func listProperties(c *call) (answer, error) {
	return listOf(c, c.server.shownProperties(), func(part []entity.Property) entity.Entity { return entity.Properties(part) })
}

// getProperty is GET /system/properties/{key}: all that the list shows can be got.
func getProperty(c *call) (answer, error) {
	key := c.params["key"]
	if p, stored := c.server.Directory.Property(key); stored {
		return ok(storedProperty(&p, directory.Settings()))
	}
	if known, honoured := honours(key); honoured {
		return ok(entity.Property{Key: key, Value: known.Default})
	}
	return answer{}, noProperty("Could not find property", key)
}

func noProperty(message, key string) *failure {
	return problem(http.StatusNotFound, propertyNotFound, message, key)
}

// setProperty is POST /system/properties, and with the key in the path; it sets what exists, too.
func setProperty(c *call) (answer, error) {
	p, err := c.readProperty()
	if err != nil {
		return answer{}, err
	}
	if err := c.putProperty(p, false, "set server property "); err != nil {
		return answer{}, err
	}
	return created()
}

// updateProperty is PUT /system/properties/{key}.
func updateProperty(c *call) (answer, error) {
	key := c.params["key"]
	_, stored := c.server.Directory.Property(key)
	_, honoured := honours(key)
	if !stored && !honoured {
		// Clients look for the entity's key here, if there is one.
		if c.body != nil {
			if p, err := c.body.SystemProperty(); err == nil && text(p.Key) != "" {
				key = *p.Key
			}
		}
		return answer{}, noProperty("Could not find property for update", key)
	}
	p, err := c.readProperty()
	if err != nil {
		return answer{}, err
	}
	// A default is there to be changed though nobody has stored anything yet.
	if err := c.putProperty(p, !honoured, "Updated server property "); err != nil {
		return answer{}, err
	}
	return done()
}

// readProperty reads the property of the body, whose key may stand in the path alone.
func (c *call) readProperty() (entity.Property, error) {
	key, inPath := c.params["key"]
	if c.body == nil {
		return entity.Property{}, badRequest("the body has to be a property with key and value", key)
	}
	p, err := c.body.SystemProperty()
	switch {
	case err != nil:
		return entity.Property{}, err
	case p.Key != nil && inPath && *p.Key != key:
		return entity.Property{}, badRequest("the key of the path and of the body differ", key)
	case p.Key != nil:
		key = *p.Key
	}
	if strings.TrimSpace(key) == "" {
		return entity.Property{}, badRequest("the property has no key", "key")
	}
	if p.Value == nil {
		return entity.Property{}, badRequest("the property has no value: send an empty one or delete it", key)
	}
	return entity.Property{Key: key, Value: *p.Value}, nil
}

func (c *call) putProperty(p entity.Property, mustExist bool, summary string) error {
	secret := false
	if stored, exists := c.server.Directory.Property(p.Key); exists {
		secret = isSecret(&stored, directory.Settings())
		if secret && p.Value == mask {
			// A client that writes back what it got changes nothing.
			return nil
		}
	} else if known, honoured := honours(p.Key); honoured {
		secret = known.Secret
	}
	if err := directory.ValidateSetting(p.Key, p.Value); err != nil {
		return explain(err, refusal{resource: p.Key})
	}
	err := c.server.Proposer.PutProperty(c.ctx, c.actor(), p.Key, p.Value, mustExist)
	if took(err) {
		shown := p.Value
		if secret || soundsSecret(p.Key) {
			shown = mask
		}
		c.record(summary+p.Key, detail(p.Key, shown))
	}
	if err != nil {
		return explain(err, refusal{resource: p.Key, notFound: noProperty("Could not find property for update", p.Key)})
	}
	return nil
}

// deleteProperty is DELETE /system/properties/{key}: one that the server honours has its default then.
func deleteProperty(c *call) (answer, error) {
	key := c.params["key"]
	stored, exists := c.server.Directory.Property(key)
	if !exists {
		return answer{}, noProperty("Could not find property", key)
	}
	err := c.server.Proposer.DeleteProperty(c.ctx, c.actor(), key)
	if took(err) {
		c.recordEnd(stored.UID, "deleted server property "+key)
	}
	if err != nil {
		return answer{}, explain(err, refusal{resource: key, notFound: noProperty("Could not find property", key)})
	}
	return done()
}
