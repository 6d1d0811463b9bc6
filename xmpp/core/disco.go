package core

import (
	"context"
	"crypto/sha1" // XEP-0115 §5.1 names it; nothing secret depends on it
	"encoding/base64"
	"slices"

	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// capsNode names this software in entity capabilities (XEP-0115 §4).
const capsNode = "https://chat-operator.io"

// serverName is the server's identity in service discovery.
const serverName = "chat-operator"

// discoInfo is what service discovery says, made once from the list of features.
type discoInfo struct {
	server, account []string // sorted
	caps            string   // XEP-0115 §5.1, of the server
}

func compileInfo(features []Feature) discoInfo {
	var d discoInfo
	for _, f := range features {
		d.server = append(d.server, f.ServerVars...)
		d.account = append(d.account, f.AccountVars...)
	}
	slices.Sort(d.server)
	slices.Sort(d.account)
	d.server, d.account = slices.Compact(d.server), slices.Compact(d.account)

	// XEP-0115 §5.1: identities as category/type/lang/name, then features, each closed by '<'.
	s := "server/im//" + serverName + "<"
	for _, v := range d.server {
		s += v + "<"
	}
	sum := sha1.Sum([]byte(s))
	d.caps = base64.StdEncoding.EncodeToString(sum[:])
	return d
}

// StreamFeatures is what the switchboard adds to the stream features after authentication: the server's capabilities (XEP-0115 §6.3).
func (sb *Switchboard) StreamFeatures(dst []byte) []byte {
	return xmlstream.NewBuilder(dst).Open(stanza.NSCaps, "c").
		Attr("hash", "sha-1").Attr("node", capsNode).Attr("ver", sb.info.caps).Close().Bytes()
}

// Disco is service discovery (XEP-0030).
func (sb *Switchboard) Disco() Feature {
	return Feature{
		Name:        "service discovery",
		ServerVars:  []string{stanza.NSDiscoInfo, stanza.NSDiscoItems},
		AccountVars: []string{stanza.NSDiscoInfo, stanza.NSDiscoItems},
		Handlers: []Handler{
			{Target: ToServer, Type: stanza.IQGet, Space: stanza.NSDiscoInfo, Local: "query", Handle: sb.serverInfo},
			{Target: ToServer, Type: stanza.IQGet, Space: stanza.NSDiscoItems, Local: "query", Handle: sb.serverItems},
			// XEP-0030 §8: strangers get service-unavailable for info ...
			{Target: ToAccount, Type: stanza.IQGet, Space: stanza.NSDiscoInfo, Local: "query", Access: Subscribers, Handle: sb.accountInfo},
			// ... and an empty result for items, whether or not the account exists.
			{Target: ToAccount, Type: stanza.IQGet, Space: stanza.NSDiscoItems, Local: "query", Access: Anyone, Handle: sb.accountItems},
		},
	}
}

// Caps is the server's own entity capabilities (XEP-0115).
func Caps() Feature { return Feature{Name: "entity capabilities", ServerVars: []string{stanza.NSCaps}} }

func (sb *Switchboard) serverInfo(_ context.Context, q *IQ) {
	node := string(q.Payload.Attr("node"))
	if node != "" && node != capsNode+"#"+sb.info.caps {
		q.Fail(stanza.NewError(stanza.ConditionItemNotFound, ""))
		return
	}
	q.Result(infoPayload(node, "server", "im", serverName, sb.info.server))
}

func (sb *Switchboard) accountInfo(_ context.Context, q *IQ) {
	if len(q.Payload.Attr("node")) > 0 {
		q.Fail(stanza.NewError(stanza.ConditionItemNotFound, ""))
		return
	}
	typ := "registered"
	if _, ok := sb.dir.User(q.Account); !ok {
		typ = "anonymous"
	}
	q.Result(infoPayload("", "account", typ, "", sb.info.account))
}

func infoPayload(node, category, typ, name string, vars []string) []byte {
	b := xmlstream.NewBuilder(nil).Open(stanza.NSDiscoInfo, "query")
	if node != "" {
		b.Attr("node", node)
	}
	b.Open(stanza.NSDiscoInfo, "identity").Attr("category", category).Attr("type", typ)
	if name != "" {
		b.Attr("name", name)
	}
	b.Close()
	for _, v := range vars {
		b.Open(stanza.NSDiscoInfo, "feature").Attr("var", v).Close()
	}
	return b.Close().Bytes()
}

// serverItems lists the services (XEP-0030 §4).
func (sb *Switchboard) serverItems(_ context.Context, q *IQ) {
	node := string(q.Payload.Attr("node"))
	if node != "" {
		q.Fail(stanza.NewError(stanza.ConditionItemNotFound, ""))
		return
	}
	b := xmlstream.NewBuilder(nil).Open(stanza.NSDiscoItems, "query")
	for _, h := range sb.hosts {
		for _, it := range h.Items() {
			b.Open(stanza.NSDiscoItems, "item").Attr("jid", it.JID.String())
			if it.Name != "" {
				b.Attr("name", it.Name)
			}
			b.Close()
		}
	}
	q.Result(b.Close().Bytes())
}

// accountItems lists an account's available resources for those who see its presence (XEP-0030 §4.3).
func (sb *Switchboard) accountItems(_ context.Context, q *IQ) {
	b := xmlstream.NewBuilder(nil).Open(stanza.NSDiscoItems, "query")
	if node := string(q.Payload.Attr("node")); node != "" {
		b.Attr("node", node)
	} else if q.Subscribed() {
		for _, s := range sb.table.sessions(q.Account) {
			if s.Available() {
				b.Open(stanza.NSDiscoItems, "item").Attr("jid", s.jid.String()).Close()
			}
		}
	}
	q.Result(b.Close().Bytes())
}
