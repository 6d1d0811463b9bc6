package restserver

import (
	"net/http"
	"strconv"

	"github.com/chat-operator/chat-operator/restserver/entity"
)

// page cuts a list as offset and limit ask; without them it is whole.
func page[E any](q query, list []E) ([]E, error) {
	offset, err := natural(q, "offset", 0)
	if err != nil {
		return nil, err
	}
	limit, err := natural(q, "limit", len(list))
	if err != nil {
		return nil, err
	}
	list = list[min(offset, len(list)):]
	return list[:min(limit, len(list))], nil
}

// natural reads a number that is not negative.
func natural(q query, name string, absent int) (int, error) {
	text, given := q.get(name)
	if !given || text == "" {
		return absent, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, badRequest(name+" has to be a whole number that is not negative", name)
	}
	return n, nil
}

// listOf answers with a part of a list and the number that the whole has. convert turns what is
// shown, and nothing else, into the entity.
func listOf[E any](c *call, list []E, convert func([]E) entity.Entity) (answer, error) {
	part, err := page(c.query, list)
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusOK, entity: convert(part), isList: true, total: len(list)}, nil
}
