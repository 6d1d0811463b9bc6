package restserver_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/chat-operator/chat-operator/xmpp/directory"
)

func TestVCard(t *testing.T) {
	w := newWorld(t)
	w.create("mira", "x")
	card := golden(t, "vcard.xml")
	for _, path := range []string{"/users/mira/vcard", "/users/nobody7/vcard"} {
		got := w.want(204, "", "GET", path, "")
		if got.Header().Get("Content-Length") != "" {
			t.Errorf("Content-Length %q of no content", got.Header().Get("Content-Length"))
		}
		w.want(204, "", "GET", path, "", accept("application/json;q=0.9, application/xml;q=0.1"))
	}
	w.want(200, "", "PUT", "/users/mira/vcard", card)
	for _, path := range []string{"/users/mira/vcard", "/users/Mira/vcard/", "/users/mira@chat.example/vcard", "/users/mira%40Chat.Example/vcard"} {
		for _, a := range []string{"", "*/*", formatXML, "application/*", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "application/json, text/plain, */*"} {
			got := w.want(200, card, "GET", path, "", accept(a))
			if kind := got.Header().Get("Content-Type"); kind != formatXML {
				t.Errorf("Content-Type %q", kind)
			}
		}
	}
	// It is replaced whole, whatever Accept says; it may have a prolog.
	w.want(200, "", "PUT", "/users/Mira/vcard", prolog+`<vCard xmlns="vcard-temp"><FN>Mira</FN></vCard>`, accept("text/plain"))
	w.want(200, `<vCard xmlns="vcard-temp"><FN>Mira</FN></vCard>`, "GET", "/users/mira/vcard", "")
	for range 2 {
		w.want(200, "", "DELETE", "/users/mira/vcard", "[]", accept(formatJSON))
		w.want(204, "", "GET", "/users/mira/vcard", "")
	}
	w.want(200, "", "DELETE", "/users/nobody7/vcard", "")
	w.wantAudit("updated vCard of mira", "updated vCard of mira", "deleted vCard of mira")
}

func TestVCardErrors(t *testing.T) {
	w := newWorld(t)
	w.create("mira", "x")
	const path = "/users/mira/vcard"
	full := mustPath(t, path)
	// An error is in the format that the caller likes best, also where a success would be XML.
	w.want(400, errorJSON("UserNotFoundException", "this service is not for users of other servers", "guest@other.example"),
		"GET", "/users/guest@other.example/vcard", "", accept("application/json, application/xml;q=0.5"))
	// XML only, in both directions.
	for _, a := range []string{formatJSON, "text/vcard", "application/xml;q=0", "text/xml"} {
		got := w.send("GET", path, "", accept(a))
		if got.Code != 406 || !entityLike(got.Body.String(), "NotAcceptableException") {
			t.Errorf("Accept %q: %d %s", a, got.Code, got.Body)
		}
	}
	w.want(406, errorJSON("NotAcceptableException", "the answer can be application/xml only", full), "GET", path, "", accept(formatJSON))
	w.wantError(415, "NotSupportedException", "send the body as application/xml", full, "PUT", path, `{"FN":"Mira"}`)
	for _, kind := range []string{"text/xml", "text/vcard", "text/plain", ""} {
		if got := w.send("PUT", path, "<vCard/>", header("Content-Type", kind)); got.Code != 415 || !entityLike(got.Body.String(), "NotSupportedException") {
			t.Errorf("Content-Type %q: %d %s", kind, got.Code, got.Body)
		}
	}
	for body, why := range map[string]string{
		"<user/>":          "the body has to be one element vCard of the namespace vcard-temp",
		"<vCard><FN>":      "the body is not well-formed XML: unexpected EOF (line 1)",
		"<!DOCTYPE a><a/>": "the body has a document type declaration, which is never read: send the element alone",
	} {
		w.wantError(400, "IllegalArgumentException", "Could not parse the provided data as a vCard: "+why, "mira", "PUT", path, body)
	}
	// No body at all, with and without a Content-Type.
	for _, kind := range []string{"", formatXML} {
		w.wantError(400, "IllegalArgumentException", "Could not parse the provided data as a vCard: the body has no XML element", "mira", "PUT", path, "", header("Content-Type", kind))
	}
	if got := w.send("PUT", path, "<vCard><FN>"+strings.Repeat("a", 1<<20)+"</FN></vCard>"); got.Code != 413 || !entityLike(got.Body.String(), "PayloadTooLargeException") {
		t.Errorf("too much: %d %s", got.Code, got.Body)
	}
	// Users of other servers, names that can be none, users who don't exist.
	w.want(400, errorXML("UserNotFoundException", "this service is not for users of other servers", "mira@other.example"), "GET", "/users/mira@other.example/vcard", "")
	for _, method := range []string{"PUT", "DELETE"} {
		body := map[string]string{"PUT": "<vCard/>"}[method]
		w.wantError(400, "UserNotFoundException", "this service is not for users of other servers", "mira@other.example", method, "/users/mira@other.example/vcard", body)
	}
	w.want(404, errorXML("UserNotFoundException", "Could not get user", "a b"), "GET", "/users/a%20b/vcard", "")
	for _, method := range []string{"PUT", "DELETE"} {
		body := map[string]string{"PUT": "<vCard/>"}[method]
		if got := w.send(method, "/users/a%20b/vcard", body); got.Code != 400 || !entityLike(got.Body.String(), "IllegalArgumentException") {
			t.Errorf("%s: %d %s", method, got.Code, got.Body)
		}
	}
	w.wantError(404, "UserNotFoundException", "Could not get user", "nobody7", "PUT", "/users/nobody7/vcard", "<vCard/>")

	// What the service says.
	w.vcards.err = &directory.InvalidError{Field: "vCard", Message: "it is too large"}
	w.wantError(400, "IllegalArgumentException", "Could not parse the provided data as a vCard: vCard: it is too large", "mira", "PUT", path, "<vCard/>")
	w.vcards.err = errors.New("disk of 10.9.8.7 on fire")
	w.want(500, errorXML("InternalServerErrorException", "the server failed: its log says why", full), "GET", path, "")
	w.wantError(500, "InternalServerErrorException", "the server failed: its log says why", "mira", "PUT", path, "<vCard/>")
	w.vcards.err = nil
	w.vcards.cards["mira"] = []byte("<vCard")
	w.want(500, errorXML("InternalServerErrorException", "the server failed: its log says why", "mira"), "GET", path, "")
	w.wantAudit()
}
