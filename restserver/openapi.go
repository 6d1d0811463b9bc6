package restserver

import (
	"net/http"
	"sync"

	"github.com/chat-operator/chat-operator/restserver/openapi"
	"github.com/chat-operator/chat-operator/xmpp/directory"
)

// document is an OpenAPI document in both notations.
type document struct{ json, yaml []byte }

// describe prepares the documents of all ways to authenticate; each is made when it is asked for first.
func (s *Server) describe() map[openapi.Access]func() document {
	operations := s.operations()
	all := map[openapi.Access]func() document{}
	for _, access := range []openapi.Access{openapi.Any, openapi.Basic, openapi.Secret} {
		all[access] = sync.OnceValue(func() document {
			d := openapi.New(s.Version, access, operations)
			return document{json: d.JSON(), yaml: d.YAML()}
		})
	}
	return all
}

// operations are those of all routes, as the document describes them.
func (s *Server) operations() (list []openapi.Operation) {
	for _, r := range s.routes {
		for i := range r.operations {
			o := &r.operations[i]
			if r.outside() && o.doc.id == "" {
				continue // a page for people
			}
			// Who has checks of its own asks for no header.
			described := openapi.Operation{
				Method: o.method, Path: r.absolute(), ID: o.doc.id, Tag: o.doc.tag, Summary: o.doc.summary, Public: r.public || r.ownChecks,
				Takes: o.doc.takes, Answers: o.doc.answers, Status: o.doc.status, Media: o.doc.media, Errors: o.doc.errors, Without: o.doc.without, Empty: o.doc.empty,
				Conditional: r.conditional() && (o.method == http.MethodPut || o.method == http.MethodDelete),
			}
			for _, q := range o.doc.query {
				described.Query = append(described.Query, openapi.Parameter{Name: q.name, Description: q.description, Kind: q.kind, Initial: q.initial})
			}
			list = append(list, described)
		}
	}
	return list
}

// document is the one that fits plugin.restapi.httpAuth.
func (s *Server) document() document {
	access := openapi.Secret
	switch s.Directory.String(directory.KeyRESTAuth) {
	case "":
		access = openapi.Any
	case "basic":
		access = openapi.Basic
	}
	return s.documents[access]()
}

// openAPIAsYAML is GET /openapi.yaml, which anybody may read.
func openAPIAsYAML(c *call) (answer, error) {
	return answer{status: http.StatusOK, raw: c.server.document().yaml, media: "application/yaml"}, nil
}

// openAPIAsJSON is GET /openapi.json.
func openAPIAsJSON(c *call) (answer, error) {
	return answer{status: http.StatusOK, raw: c.server.document().json, media: "application/json"}, nil
}
