// Package e2e drives the real program, built and started as a process of its own, against a real API server, and talks to it as
// the world does: with kubectl, with an independent XMPP client library and over REST. It knows nothing of the program's inside.
package e2e
