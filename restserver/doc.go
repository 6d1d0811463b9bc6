// Package restserver answers the REST API that Openfire's plugin has, so that
// programs written for it work unmodified, and the additions that this server makes.
//
// A request goes one way: the path is matched against the one route table
// (routes.go), the caller is admitted (access.go), the formats are negotiated
// (negotiate.go), a handler decides (one file a resource), and one place writes
// the answer or the error entity (answer.go). What a handler changes it proposes,
// as XMPP clients do: the package never edits declared state itself.
package restserver
