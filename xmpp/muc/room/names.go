package room

// Namespaces of rooms.
const (
	nsMUC          = "http://jabber.org/protocol/muc"
	nsUser         = "http://jabber.org/protocol/muc#user"
	nsAdmin        = "http://jabber.org/protocol/muc#admin"
	nsOwner        = "http://jabber.org/protocol/muc#owner"
	nsRegister     = "jabber:iq:register"          // XEP-0077
	nsVCard        = "vcard-temp"                  // XEP-0054
	nsOccupantID   = "urn:xmpp:occupant-id:0"      // XEP-0421
	nsRetract      = "urn:xmpp:message-retract:1"  // XEP-0424
	nsRetract0     = "urn:xmpp:message-retract:0"  // XEP-0424 0.3, which clients still use
	nsModerate     = "urn:xmpp:message-moderate:1" // XEP-0425
	nsModerate0    = "urn:xmpp:message-moderate:0" // XEP-0425 0.2
	nsFasten       = "urn:xmpp:fasten:0"           // XEP-0422
	nsChatStates   = "http://jabber.org/protocol/chatstates"
	formConfig     = nsMUC + "#roomconfig"
	formInfo       = nsMUC + "#roominfo"
	formRegister   = nsMUC + "#register"
	formRequest    = nsMUC + "#request"
	nodeNickname   = "x-roomuser-item"
	nodeTraffic    = nsMUC + "#traffic"
	featureID      = nsMUC + "#stable_id"
	featurePing    = nsMUC + "#self-ping-optimization" // XEP-0410
	featureTomb    = nsRetract + "#tombstone"
	fieldArchiving = "muc#roomconfig_enablearchiving" // what clients look for before they ask the archive
	nsConference   = "jabber:x:conference"            // XEP-0249
	nsMAM          = "urn:xmpp:mam:2"                 // XEP-0313
	stampLayout    = "2006-01-02T15:04:05Z"           // XEP-0082
	maxReason      = 1024
	maxAdminItems  = 100
	maxPresence    = 16 << 10
	maxSubject     = 8 << 10
)

// Status codes (XEP-0045 §15.6.2).
const (
	codeRealJID       = 100
	codeConfig        = 104
	codeSelf          = 110
	codeLogged        = 170
	codeNotLogged     = 171
	codeNonAnonymous  = 172
	codeSemiAnonymous = 173
	codeCreated       = 201
	codeNickAssigned  = 210
	codeBanned        = 301
	codeNewNick       = 303
	codeKicked        = 307
	codeAffiliation   = 321
	codeMembersOnly   = 322
	codeShutdown      = 332
	codeTechnical     = 333
)
