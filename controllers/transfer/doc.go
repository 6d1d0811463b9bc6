// Package transfer moves chat servers: it writes everything of an installation down and reads it in again, and it reads what Openfire
// gives out.
//
// An export is a folder, or the same folder as a tar archive:
//
//	export.yaml                    what it is an export of
//	manifests/KIND/NAME.yaml       resources, and Secrets that belong to them, as kubectl takes them
//	personal/server-data.xml       what belongs to people, as XEP-0227 has it: this file includes the next, and that one all others
//	personal/DOMAIN.xml
//	personal/DOMAIN/NAME.xml
//	data/TABLE-NUMBER.jsonl        what XEP-0227 has no element for, a row a line
//
// Nothing in it depends on when it was made or on numbers that a cluster gives out, so two exports of the same things are equal. Every
// other source is first made into such a folder, so that there is one way in.
package transfer
