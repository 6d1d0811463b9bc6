// Package metrics has the names of everything that the program measures, and offers it to Prometheus. What is measured is counted where it happens,
// with package meter, which knows nothing of Prometheus.
package metrics

// Type is what kind of number a metric is.
type Type string

// The types.
const (
	Counter   Type = "counter"
	Gauge     Type = "gauge"
	Histogram Type = "histogram"
)

// Metric describes one metric. None has a label with what people choose, such as a name or an address.
type Metric struct {
	Name   string
	Type   Type
	Labels []Label
	Help   string
}

// Label is one label of a metric, with what its values can be.
type Label struct{ Name, Values string }

// The names.
const (
	BuildInfo           = "chat_operator_build_info"
	Ready               = "chat_operator_ready"
	Leading             = "chat_operator_leading"
	CertificateExpiry   = "chat_operator_certificate_expiry_timestamp_seconds"
	CertificateLifetime = "chat_operator_certificate_lifetime_seconds"
	CertificateValid    = "chat_operator_certificate_valid"
	CertificateStale    = "chat_operator_certificate_stale"
	SchemaMissing       = "chat_operator_schema_missing"

	Sessions                   = "chat_operator_sessions"
	Connections                = "chat_operator_connections"
	ConnectionsUnauthenticated = "chat_operator_connections_unauthenticated"
	ConnectionsTotal           = "chat_operator_connections_total"
	Logins                     = "chat_operator_logins_total"
	Refusals                   = "chat_operator_refusals_total"
	Throttled                  = "chat_operator_throttled_total"
	TracedUsers                = "chat_operator_traced_users"

	Stanzas  = "chat_operator_stanzas_total"
	Handling = "chat_operator_stanza_handling_duration_seconds"
	Delivery = "chat_operator_delivery_duration_seconds"

	Rooms         = "chat_operator_rooms"
	RoomOccupants = "chat_operator_room_occupants"

	StoreOperations = "chat_operator_store_operations_total"
	StoreDuration   = "chat_operator_store_operation_duration_seconds"
	StoreSize       = "chat_operator_store_size_bytes"
	StoreFree       = "chat_operator_store_free_bytes"
	StoreVolume     = "chat_operator_store_volume_bytes"
	AuditEntries    = "chat_operator_audit_entries_total"
	Archived        = "chat_operator_archived_messages_total"

	RESTRequests = "chat_operator_rest_requests_total"
	RESTDuration = "chat_operator_rest_request_duration_seconds"

	Declared         = "chat_operator_declared"
	Resources        = "chat_operator_resources"
	ReconcileLag     = "chat_operator_reconcile_lag_seconds"
	ReconcilePending = "chat_operator_reconcile_pending"
	ReconcileOldest  = "chat_operator_reconcile_oldest_seconds"
	PurgesHeld       = "chat_operator_purges_held"
	PurgesPending    = "chat_operator_purges_pending"
	Purged           = "chat_operator_purged_total"
)

const kinds = "`user`, `group`, `room`, `property`"

// Table lists all metrics. What is not in it cannot be registered.
func Table() []Metric {
	return []Metric{
		{BuildInfo, Gauge, []Label{{"version", "of the program"}}, "Always 1."},
		{Ready, Gauge, nil, "1 while chat clients are let in, else 0: what /readyz says."},
		{Leading, Gauge, nil, "1 while this replica reports and purges, else 0."},
		{CertificateExpiry, Gauge, nil, "When the certificate that clients are shown runs out, in Unix time."},
		{CertificateLifetime, Gauge, nil, "For how long that certificate was issued."},
		{CertificateValid, Gauge, nil, "1 while that certificate is for the domain and within its time, else 0: then clients refuse it, and /readyz?verbose says why. Who signed it is not looked at."},
		{CertificateStale, Gauge, nil, "1 while another certificate should be in its place and cannot be: the files cannot be used, or the self-signed one could not be renewed; /readyz?verbose says why. Else 0."},
		{SchemaMissing, Gauge, nil, "Kinds and fields that this program knows and the cluster's custom resource definitions lack; 0 when they are as new as the program, or have not been compared yet."},

		{Sessions, Gauge, []Label{{"state", "`connected`, `waiting`: for its client to come back"}}, "Sessions of clients."},
		{Connections, Gauge, []Label{{"transport", "`starttls`, `direct-tls`"}}, "Connections of clients."},
		{ConnectionsUnauthenticated, Gauge, nil, "Connections of clients that have not bound a resource yet."},
		{ConnectionsTotal, Counter, nil, "Connections of clients that were accepted or turned away."},
		{Logins, Counter, []Label{
			{"mechanism", "the mechanisms of SASL that are offered, and `other`"},
			{"result", "`success`; `refused`: a wrong password or a locked account; `limited`: not looked at after too many failures; `failed`: not a proper login"},
		}, "Attempts of clients to log in."},
		{Refusals, Counter, []Label{{"reason", "the limit, such as `storage`, `flood`, `login-tries`"}}, "What was refused because of a limit."},
		{Throttled, Counter, nil, "How often a session was not listened to for a moment because its client sent too fast."},

		{TracedUsers, Gauge, nil, "Users whose stanzas are logged, by the property xmpp.trace.users."},

		{Stanzas, Counter, []Label{
			{"kind", "`message`, `presence`, `iq`"},
			{"result", "`delivered` to a session of the recipient; `stored`: on its way into a mailbox; `refused` with an error; `handled` in any other way, as by a room"},
		}, "Stanzas that clients sent, and what became of them."},
		{Handling, Histogram, []Label{{"kind", "`message`, `presence`, `iq`"}},
			"How long stanzas of clients took, from when they were read until they were handed on, answered or on their way into the store."},
		{Delivery, Histogram, nil, "How long what is sent to clients waited for this server until it was written: the first of what each write takes along. That a client takes nothing for a while does not count."},

		{Rooms, Gauge, nil, "Chat rooms in memory: those that somebody has entered since the start, and is in if they are temporary."},
		{RoomOccupants, Gauge, nil, "Occupants of all chat rooms."},

		{StoreOperations, Counter, []Label{
			{"operation", "`read`, `write`"},
			{"result", "`success`; `full`: there is no space left; `canceled`: nobody waited for it any more; `error`"},
		}, "What the database was asked for."},
		{StoreDuration, Histogram, []Label{{"operation", "`read`, `write`: until it is on the disk"}}, "How long the database took, waiting for others included."},
		{StoreSize, Gauge, nil, "Size of the database's files."},
		{StoreFree, Gauge, nil, "Space that is left for the program on the volume of the database."},
		{StoreVolume, Gauge, nil, "Size of the volume of the database."},
		{AuditEntries, Counter, nil, "Entries that were written to the audit log."},
		{Archived, Counter, nil, "Messages that were written to archives of rooms."},

		{RESTRequests, Counter, []Label{
			{"route", "the path with its parameters in braces; `none`: there is nothing at the path"},
			{"method", "of HTTP; `other`: one that the API does not have"},
			{"code", "the status"},
		}, "Requests to the REST API that were answered."},
		{RESTDuration, Histogram, []Label{{"route", "as above"}, {"method", "as above"}}, "How long requests to the REST API took."},

		{Declared, Gauge, []Label{{"kind", kinds}}, "Declared things in force: the size of the directory."},
		{Resources, Gauge, []Label{{"kind", kinds}, {"ready", "`true`, `false`: the condition Ready says that it is not in force, or nothing yet"}}, "Resources in the namespace by their condition Ready."},
		{ReconcileLag, Histogram, []Label{{"kind", kinds}}, "How long it took until the status of a changed resource spoke of the change, from when this process saw it."},
		{ReconcilePending, Gauge, []Label{{"kind", kinds}}, "Resources whose status does not speak of their newest generation yet."},
		{ReconcileOldest, Gauge, []Label{{"kind", kinds}}, "How long the one of these has waited that has waited longest; 0: there is none."},
		{PurgesHeld, Gauge, nil, "Deleted accounts whose data is due to be purged, but held by the brake until somebody confirms it."},
		{PurgesPending, Gauge, nil, "Deleted names whose data is kept until accounts.purgeDelay has passed."},
		{Purged, Counter, []Label{{"kind", "`user`, `room`"}}, "Names whose data was purged after their deletion."},
	}
}

// lookUp finds a metric of the table.
func lookUp(name string) (Metric, bool) {
	for _, m := range Table() {
		if m.Name == name {
			return m, true
		}
	}
	return Metric{}, false
}
