package account

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/chat-operator/chat-operator/xmpp/core"
	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/meter"
	"github.com/chat-operator/chat-operator/xmpp/stanza"
	"github.com/chat-operator/chat-operator/xmpp/xmlstream"
)

// VCardStore remembers vCards. An implementation returns from a write once the write would survive a crash, and may be called by many
// goroutines at once.
type VCardStore interface {
	// GetVCard gives an account's vCard, the element; nil: there is none.
	GetVCard(ctx context.Context, username string) ([]byte, error)
	// PutVCard replaces an account's vCard, and takes it away where the new one is empty. exists is asked within the transaction: for an account
	// that is gone nothing is written, and kept is false.
	PutVCard(ctx context.Context, username string, card []byte, exists func() bool) (kept bool, err error)
}

// maxVCard is the size of the largest vCard that is kept, with its picture; a room's may be as large.
const maxVCard = 128 << 10

// VCardConfig is what VCards needs.
type VCardConfig struct {
	Directory *directory.Directory
	Store     VCardStore
	Recorder  Recorder     // takes note of changes by clients; nil: nobody does
	Meter     *meter.Meter // counts refusals; nil counts nothing
	Log       *slog.Logger
}

// VCards keeps what people say of themselves, for everybody to read (XEP-0054).
type VCards struct{ cfg VCardConfig }

// NewVCards makes the service.
func NewVCards(cfg VCardConfig) *VCards {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &VCards{cfg: cfg}
}

// Feature is vCards as a protocol feature (XEP-0054 §4).
func (v *VCards) Feature() core.Feature {
	return core.Feature{
		Name:        "vCards",
		ServerVars:  []string{stanza.NSVCard},
		AccountVars: []string{stanza.NSVCard},
		Handlers: []core.Handler{
			{Target: core.ToAccount, Type: stanza.IQGet, Space: stanza.NSVCard, Local: "vCard", Access: core.Anyone, Handle: v.get},
			{
				Target: core.ToAccount, Type: stanza.IQSet, Space: stanza.NSVCard, Local: "vCard",
				Access: core.Owner, Refusal: stanza.ConditionForbidden, Handle: v.set, // XEP-0054 §3.2
			},
		},
	}
}

// get tells a vCard. XEP-0054 §3.3: others hear the same of an account without one as of a name without an account, and the store is asked
// for both, so that the time does not tell them apart either.
func (v *VCards) get(ctx context.Context, q *core.IQ) {
	card, err := v.cfg.Store.GetVCard(ctx, q.Account)
	switch {
	case err != nil:
		q.Fail(v.failed(q.Account, err))
	case v.exists(q.Account) && len(card) > 0:
		q.Result(card)
	case q.Own():
		q.Fail(stanza.NewError(stanza.ConditionItemNotFound, "")) // XEP-0054 §3.1
	default:
		q.Fail(stanza.NewError(stanza.ConditionServiceUnavailable, ""))
	}
}

func (v *VCards) set(ctx context.Context, q *core.IQ) {
	err := v.put(ctx, q.Account, q.Payload)
	var invalid *directory.InvalidError
	switch {
	case err == nil:
		q.Result(nil)
		if v.cfg.Recorder != nil {
			v.cfg.Recorder.VCardPut(xmppActor(q.Session, q.Account), q.Account, !q.Payload.FirstChild().Valid())
		}
	case errors.As(err, &invalid):
		q.Fail(stanza.NewError(stanza.ConditionNotAcceptable, invalid.Error()))
	case errors.Is(err, directory.ErrNotFound):
		q.Fail(stanza.NewError(stanza.ConditionNotAllowed, "Nothing is kept for who has no account."))
	default:
		q.Fail(v.failed(q.Account, err))
	}
}

// failed is what a client hears when the store fails.
func (v *VCards) failed(username string, err error) *stanza.Error {
	v.cfg.Log.Error("a vCard could not be read or written", "user", username, "error", err.Error())
	if errors.Is(err, ErrFull) {
		v.cfg.Meter.Refuse(meter.Storage)
		return stanza.NewError(stanza.ConditionResourceConstraint, "The vCard cannot be kept at the moment. Try again later.")
	}
	e := stanza.NewError(stanza.ConditionInternalServerError, "vCards cannot be read or written at the moment. Try again later.")
	e.Type = stanza.Wait
	return e
}

func (v *VCards) exists(username string) bool {
	_, ok := v.cfg.Directory.User(username)
	return ok
}

// put keeps an element as the vCard of an account; one without anything inside takes it away.
func (v *VCards) put(ctx context.Context, username string, e xmlstream.Element) error {
	var card []byte
	if e.FirstChild().Valid() {
		card = e.Append(nil)
	}
	if len(card) > maxVCard {
		return &directory.InvalidError{Field: "vCard", Message: fmt.Sprintf("it has more than %d bytes: make its picture smaller", maxVCard)}
	}
	kept, err := v.cfg.Store.PutVCard(ctx, username, card, func() bool { return v.exists(username) })
	if err != nil {
		return fmt.Errorf("writing the vCard of %q: %w", username, err)
	}
	if !kept {
		return fmt.Errorf("the user %q was %w", username, directory.ErrNotFound)
	}
	return nil
}

// VCard gives a user's vCard, the element; nil: there is none, or no such user.
func (v *VCards) VCard(ctx context.Context, username string) ([]byte, error) {
	if !v.exists(username) {
		return nil, nil
	}
	card, err := v.cfg.Store.GetVCard(ctx, username)
	if err != nil {
		return nil, fmt.Errorf("reading the vCard of %q: %w", username, err)
	}
	return card, nil
}

// SetVCard replaces a user's vCard by an element, nil: by none. *directory.InvalidError: it is no vCard, or too large. directory.ErrNotFound:
// there is no such user.
func (v *VCards) SetVCard(ctx context.Context, username string, card []byte) error {
	var e xmlstream.Element
	if len(card) > 0 {
		var err error
		if e, err = xmlstream.Parse(card, xmlstream.DefaultLimits()); err != nil || !e.Is(stanza.NSVCard, "vCard") {
			return &directory.InvalidError{Field: "vCard", Message: "it has to be an element vCard of the namespace " + stanza.NSVCard}
		}
	}
	return v.put(ctx, username, e)
}
