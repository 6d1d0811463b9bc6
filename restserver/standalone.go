package restserver

import "net/http"

// standAloneBase is below which the older user service plugin had its paths.
const standAloneBase = "/plugins/userService/"

// standAlone are the paths of the older user service plugin: those of its REST face that the API has as well, users by property, and the
// places where programs look for the user service itself.
func standAlone(routes []*route) []*route {
	list := []*route{
		{path: standAloneBase + "properties/{key}", operations: []operation{{method: http.MethodGet, handle: listUsersByProperty, answers: true}}},
		{path: standAloneBase + "properties/{key}/{value}", operations: []operation{{method: http.MethodGet, handle: listUsersByProperty, answers: true}}},
	}
	for _, r := range routes {
		switch r.path {
		case "users", "users/{username}", "users/{username}/groups", "users/{username}/roster", "users/{username}/roster/{jid}", "lockouts/{username}":
			list = append(list, elsewhere(r, standAloneBase+r.path))
		case "userservice":
			list = append(list, elsewhere(r, standAloneBase+r.path), elsewhere(r, "/plugins/restapi/userservice"))
		}
	}
	return list
}

// elsewhere is a route at another path, which the OpenAPI document leaves out.
func elsewhere(r *route, path string) *route {
	other := &route{path: path, public: r.public, ownChecks: r.ownChecks}
	for _, o := range r.operations {
		o.doc = doc{}
		other.operations = append(other.operations, o)
	}
	return other
}

// listUsersByProperty lists the users that have a property, or one value of it.
func listUsersByProperty(c *call) (answer, error) {
	value, exact := c.params["value"]
	return usersOf(c, having(c.server.Directory.Users(), c.params["key"], value, exact))
}
