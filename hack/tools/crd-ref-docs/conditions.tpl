{{- define "conditions" -}}
## Conditions

`status.conditions` tells how a resource stands. Each condition has the `observedGeneration` that it speaks of, and a message that ends in what
to do. Until the operator has looked at a resource, `status.observedGeneration` is -1.

| type | on | True when |
| --- | --- | --- |
| `Ready` | all kinds | the server works by this resource as it stands |
| `CredentialsReady` | ChatUser | the user can log in with what the Secret holds |
| `MembersResolved` | ChatGroup, ChatRoom | every local user and group named exists; one that does not is no fault, and counts from the moment it exists |
| `Reconciling` | all kinds, only while True | the operator is at work, or waits for something that can come by itself |
| `Stalled` | all kinds, only while True | only a change to this resource, its Secret or a rival resource can help |

| reason | of | means |
| --- | --- | --- |
| `Active` | `Ready` | it is in force |
| `UnknownKey` | `Ready` | a system property's key begins like those of the server, but is none of them: its value is kept for programs that read it, which is all that it does |
| `Pending` | `Ready`, `Reconciling` | the operator has not finished with this generation; nothing needs to be done |
| `NameConflict` | `Ready`, `Stalled` | an older resource of the same kind holds the same chat name; this one is not in force, and takes over when the other is deleted |
| `InvalidName` | `Ready`, `Stalled` | the chat name is no valid part of an XMPP address; names cannot be changed, so create another resource and delete this one |
| `InvalidValue` | `Ready`, `Stalled` | a field's value, which the message names, cannot be used; the rest is in force: of a system property the last good value, of a list what is good in it |
| `ServiceNotFound` | `Ready`, `Reconciling` | there is no chat service of the name that the room is in: a SystemProperty `xmpp.muc.service.NAME` makes one |
| `SecretNotFound` | `Ready`, `CredentialsReady`, `Reconciling` | the Secret that the resource names, or the key in it, does not exist yet |
| `SecretInvalid` | `Ready`, `CredentialsReady`, `Stalled` | the Secret holds neither a password nor well-formed SCRAM verifiers |
| `SecretFound` | `CredentialsReady` | the named Secret holds usable credentials |
| `SecretGenerated` | `CredentialsReady` | the operator made a password; `status.binding.name` is its Secret |
| `AllResolved` | `MembersResolved` | every local user and group named exists |
| `UnknownMembers` | `MembersResolved` | local users or groups are named that do not exist (yet); the message lists the first of them |
{{ end -}}
