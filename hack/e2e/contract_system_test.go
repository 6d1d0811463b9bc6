package e2e

import (
	"encoding/base64"
	"net/http"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// property is a system property.
func property(key, value string) both {
	return both{`<property key="` + key + `" value="` + value + `"/>`, `{"key":"` + key + `","value":"` + value + `"}`}
}

func (c *contract) properties() {
	c.inBoth("sets, shows, lists and deletes system properties", func(f format) {
		illegal := func(resource string) both { return failure("IllegalArgumentException", "…", resource) }
		missing := failure("PropertyNotFoundException", "Could not find property", "a.motto")
		motto, other := property("a.motto", "be kind"), property("a.motto", "be quick")
		list := func(p both) both {
			return both{"<properties>" + p.xml + "</properties>", `{"property":[` + p.json + `]}`}
		}
		const path = "/system/properties/a.motto"
		c.run(f,
			row{"GET", path, none, 404, missing},
			row{"DELETE", path, none, 404, missing},
			row{"PUT", path, property("b.motto", "x"), 404, failure("PropertyNotFoundException", "Could not find property for update", "b.motto")},
			row{"POST", "/system/properties", none, 400, illegal("…")},
			row{"POST", "/system/properties", both{`<property value="x"/>`, `{"value":"x"}`}, 400, illegal("key")},
			row{"POST", "/system/properties", motto, 201, none},
			row{"POST", "/system/properties/", both{motto.xml, `{"@key":"a.motto","@value":"be kind"}`}, 201, none},
			row{"GET", path, none, 200, motto},
			row{"HEAD", path + "/", none, 200, motto},
			row{"GET", "/system/properties?limit=1", none, 200, list(motto)},
			row{"GET", "/system/properties?offset=x", none, 400, illegal("offset")},
			row{"PUT", path, other, 200, none},
			row{"GET", path, none, 200, other},
			row{"PUT", path, property("b.motto", "x"), 400, illegal("a.motto")},
			row{"PUT", path, none, 400, illegal("a.motto")},
			row{"POST", path, motto, 201, none},
			row{"POST", path, both{`<property value="be quick"/>`, `{"value":"be quick"}`}, 201, none},
			row{"POST", path, property("b.motto", "x"), 400, illegal("a.motto")},
			row{"GET", path, none, 200, other},
			row{"DELETE", path, none, 200, none},
			row{"GET", path, none, 404, missing},
			row{"POST", "/system/properties", property("a/motto", "x"), 201, none},
			row{"GET", "/system/properties/a%2Fmotto", none, 200, property("a/motto", "x")},
			row{"DELETE", "/system/properties/a%2Fmotto", none, 200, none},

			// One that nobody has set has its default.
			row{"GET", "/system/properties/plugin.restapi.serviceLoggingEnabled", none, 200, property("plugin.restapi.serviceLoggingEnabled", "false")},
			row{"PUT", "/system/properties/plugin.restapi.serviceLoggingEnabled", property("plugin.restapi.serviceLoggingEnabled", "false"), 200, none},
			row{"DELETE", "/system/properties/plugin.restapi.serviceLoggingEnabled", none, 200, none},
			row{"POST", "/system/properties", property("plugin.restapi.serviceLoggingEnabled", "perhaps"), 400, illegal("plugin.restapi.serviceLoggingEnabled")},
		)
	})
}

// logs are what the audit log has of each kind of change, in the words that people know from the original's console.
func (c *contract) logs() {
	c.inBoth("tells who did what", func(f format) {
		newest := func(summary string) row {
			return row{"GET", "/logs/security?username=rest-secret&limit=1", none, 200, both{
				"<logs><log><details>…</details><logId>{number}</logId><node>…</node><summary>" + summary + "</summary><timestamp>{seconds}</timestamp><username>rest-secret</username></log></logs>",
				`{"logs":[{"logId":{number},"username":"rest-secret","timestamp":{seconds},"summary":"` + summary + `","node":"…","details":"…"}]}`}}
		}
		nothing := both{"<logs/>", `{"logs":[]}`}
		for _, done := range []struct {
			row
			summary string
		}{
			{row{"POST", "/users", newTobias, 201, none}, "created new user tobias"},
			{row{"PUT", "/users/tobias", fields("user", "name", "T"), 200, none}, "edited user tobias"},
			{row{"POST", "/lockouts/tobias", none, 201, none}, "locked out user tobias"},
			{row{"DELETE", "/lockouts/tobias", none, 200, none}, "unlocked user tobias"},
			{row{"POST", "/groups", groupBody("Ops", "", "", ""), 201, none}, "created new group Ops"},
			{row{"PUT", "/groups/Ops", groupBody("Ops", "On call", "", ""), 200, none}, "edited group Ops"},
			{row{"POST", "/users/tobias/groups/Ops", none, 201, none}, "added group member to Ops"},
			{row{"DELETE", "/users/tobias/groups/Ops", none, 200, none}, "updated group membership for Ops"},
			{row{"DELETE", "/groups/Ops", none, 200, none}, "deleted group Ops"},
			{row{"POST", "/users/tobias/roster", fields("rosterItem", "jid", "mira"), 201, none}, "added roster item for tobias"},
			{row{"PUT", "/users/tobias/roster/mira", fields("rosterItem", "nickname", "Mi"), 200, none}, "updated roster item for tobias"},
			{row{"DELETE", "/users/tobias/roster/mira", none, 200, none}, "deleted roster item from tobias"},
			{row{"POST", "/chatrooms", newDen, 201, none}, "created new MUC room den"},
			{row{"PUT", "/chatrooms/den", newDen, 200, none}, "updated MUC room den"},
			{row{"POST", "/chatrooms/den/members/mira", none, 201, none}, "set MUC affiliation to member for mira@chat.example in den"},
			{row{"DELETE", "/chatrooms/den", none, 200, none}, "destroyed MUC room den"},
			{row{"POST", "/chatservices", fields("chatService", "serviceName", "log-"+strings.ToLower(f.name)), 201, none}, "created MUC service log-" + strings.ToLower(f.name)},
			{row{"POST", "/messages/users", fields("message", "body", "hello"), 201, none}, "send server message"},
			{row{"POST", "/system/properties", property("a.motto", "be kind"), 201, none}, "set server property a.motto"},
			{row{"PUT", "/system/properties/a.motto", property("a.motto", "be quick"), 200, none}, "Updated server property a.motto"},
			{row{"DELETE", "/system/properties/a.motto", none, 200, none}, "deleted server property a.motto"},
			{row{"DELETE", "/users/tobias", none, 200, none}, "deleted user tobias"},
		} {
			c.run(f, done.row, newest(done.summary))
		}
		c.run(f,
			row{"GET", "/logs/security?limit=0", none, 200, nothing},
			row{"GET", "/logs/security?username=nobody7", none, 200, nothing},
			row{"GET", "/logs/security?endTime=1", none, 200, nothing},
			row{"GET", "/logs/security?startTime=32503680000", none, 200, nothing},
			row{"GET", "/logs/security?offset=100000", none, 200, nothing},
			row{"GET", "/logs/security?startTime=yesterday", none, 400, failure("IllegalArgumentException", "…", "startTime")},
			row{"GET", "/logs/security?endTime=-1", none, 400, failure("IllegalArgumentException", "…", "endTime")},
			row{"GET", "/logs/security?limit=all", none, 400, failure("IllegalArgumentException", "…", "limit")},
			row{"GET", "/logs/security?offset=x", none, 400, failure("IllegalArgumentException", "…", "offset")},
		)
	})
}

func (c *contract) clusters() {
	c.inBoth("is in no cluster", func(f format) {
		c.run(f,
			row{"GET", "/clustering/status", none, 200, both{"<clustering><status>Disabled</status></clustering>", `{"status":"Disabled"}`}},
			row{"GET", "/clustering/nodes", none, 200, both{"<clusterNodes/>", `{"clusterNodes":[]}`}},
			row{"GET", "/clustering/nodes?limit=x", none, 400, failure("IllegalArgumentException", "…", "limit")},
			row{"GET", "/clustering/nodes/0f3a", none, 404, failure("ClusterNodeNotFoundException", "Could not find a cluster node with this NodeID.", "0f3a")},
		)
	})
}

func (c *contract) health() {
	c.inBoth("is alive and ready, as anybody may ask", func(f format) {
		var wrong []string
		ask := func(r row) {
			req := c.request(f, r)
			req.Header.Del("Authorization")
			want := f.of(r.want)
			media := ""
			if want != "" {
				media = f.media
			}
			if f == inXML && want != "" {
				want = prolog + want
			}
			if trouble := c.check(f, req, r.status, want, media); trouble != "" {
				wrong = append(wrong, trouble)
			}
		}
		for _, path := range []string{"liveness", "liveness/deadlock", "liveness/properties", "readiness", "readiness/server", "readiness/cluster", "readiness/plugins", "readiness/connections"} {
			ask(row{"GET", "/system/" + path, none, 200, none})
			ask(row{"HEAD", "/system/" + path + "/", none, 200, none})
		}
		for _, kind := range []string{"SOCKET_S2S", "SOCKET_C2S", "BOSH_C2S", "WEBADMIN", "COMPONENT", "CONNECTION_MANAGER"} {
			for _, encrypted := range []string{"", "&encrypted=true", "&encrypted=false"} {
				ask(row{"GET", "/system/readiness/connections?connectionType=" + kind + encrypted, none, 200, none})
			}
		}
		ask(row{"GET", "/system/readiness/connections?encrypted=true", none, 200, none})
		ask(row{"GET", "/system/readiness/connections?connectionType=socket_c2s", none, 400, failure("IllegalArgumentException", "…", "socket_c2s")})
		Expect(wrong).To(BeEmpty())
	})
}

func (c *contract) documents() {
	It("describes itself: as YAML to anybody, as JSON to who may call, and as a page to people", func() {
		get := func(path, authorization string) (*http.Response, string) {
			GinkgoHelper()
			req := c.request(inJSON, row{method: "GET", path: path})
			req.Header.Set("Authorization", authorization)
			if strings.HasSuffix(path, ".json") {
				return c.exchange(inJSON, req)
			}
			return c.exchange(inXML, req)
		}
		for _, d := range []struct{ path, authorization, media, contains string }{
			{"/openapi.yaml", "", "application/yaml", `openapi: "3.0.1"`},
			{"/openapi.json", c.secret, "application/json", `"openapi":"3.0.1"`},
			{"/plugins/restapi/docs/index.html", "", "text/html; charset=utf-8", "<html"},
			{"/plugins/restapi/docs/", "", "text/html; charset=utf-8", "<html"},
		} {
			resp, body := get(d.path, d.authorization)
			Expect(resp.StatusCode).To(Equal(200), d.path)
			Expect(resp.Header.Get("Content-Type")).To(Equal(d.media), d.path)
			Expect(strings.Contains(strings.ReplaceAll(body, `": `, `":`), d.contains)).To(BeTrue(), d.path)
			Expect(headerTrouble(resp)).To(BeEmpty())
		}
		for _, f := range []format{inXML, inJSON} {
			req := c.request(f, row{method: "GET", path: "/openapi.json"})
			req.Header.Del("Authorization")
			want := f.of(failure("RequestNotAuthorised", "…", restBase+"/openapi.json"))
			if f == inXML {
				want = prolog + want
			}
			Expect(c.check(f, req, 401, want, f.media)).To(BeEmpty())
		}
		_, document := get("/openapi.json", c.secret)
		// Programs are generated from these.
		document = strings.ReplaceAll(document, `": `, `":`)
		for _, name := range strings.Fields(originalOperations) {
			Expect(strings.Contains(document, `"operationId":"`+name+`"`)).To(BeTrue(), name)
		}
		for _, name := range strings.Fields(originalSchemas) {
			Expect(strings.Contains(document, `"`+name+`":{`)).To(BeTrue(), name)
		}
	})
}

const (
	originalOperations = `getUsers createUser getUser updateUser deleteUser getUserGroups addUserToGroups addUserToGroup deleteUserFromGroup
deleteUserFromGroups disableUser enableUser getUserRoster createRoster updateRoster deleteRoster getUserVcard setUserVcard deleteUserVcard
getMUCRooms getMUCRoomJSON2 createMUCRoom createMUCRooms updateMUCRoom deleteMUCRoom getMUCRoomParticipants getMUCRoomOccupants getMUCRoomHistory
inviteUserOrGroupToMUCRoom inviteUsersAndOrGroupsToMUCRoom getAffiliations replaceMUCRoomAffiliation addMUCRoomAffiliations addMUCRoomAffiliation
addMUCRoomAffiliationGroup deleteMUCRoomAffiliation deleteMUCRoomAffiliationGroup getMUCServices createMUCService getGroups createGroup getGroup
updateGroup deleteGroup getAllSessions getUserSessions kickSession sendBroadcastMessage getSecurityAuditLogs getUnReadMessagesCount
getSystemProperties getSystemProperty createSystemProperty updateSystemProperty deleteSystemProperty getCCS liveness livenessDeadlock
livenessSystemProperties readiness readinessServerStart readinessCluster readinessPlugins readinessConnections getClusteringStatus getClusterNodes
getClusterNode userSerivceRequest userSerivcePostRequest`
	originalSchemas = `UserEntity UserEntities UserProperty UserGroupsEntity RosterItemEntity RosterEntities GroupEntity GroupEntities MUCRoomEntity
MUCRoomEntities MUCRoomMessageEntity MUCRoomMessageEntities MUCInvitationEntity MUCInvitationsEntity MUCServiceEntity MUCServiceEntities
OccupantEntity OccupantEntities ParticipantEntity ParticipantEntities RoomCreationResultEntity RoomCreationResultEntities AffiliatedEntities
SessionEntity SessionEntities SessionsCount MessageEntity MsgArchiveEntity SecurityAuditLog SecurityAuditLogs SystemProperty SystemProperties
ClusteringEntity ClusterNodeEntity ClusterNodeEntities ErrorResponse`
)

// basic is the header of a name and a password, with the scheme as it is given.
func basic(scheme, name, password string) string {
	return scheme + base64.StdEncoding.EncodeToString([]byte(name+":"+password))
}
