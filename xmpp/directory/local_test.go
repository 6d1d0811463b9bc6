package directory_test

import (
	"context"
	"errors"
	"testing"

	"github.com/chat-operator/chat-operator/xmpp/directory"
	"github.com/chat-operator/chat-operator/xmpp/jid"
)

func TestLocalProposer(t *testing.T) {
	ctx := context.Background()
	by := directory.Actor{Via: "REST", Name: "admin"}
	d := directory.New("chat.example")
	p := directory.NewLocal(d)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	refused := func(err, want error) {
		t.Helper()
		if !errors.Is(err, want) {
			t.Errorf("err = %v, want %v", err, want)
		}
	}
	must(p.CreateUser(ctx, by, directory.NewUser{Username: "mira", Password: "one", Properties: []directory.Property{{Key: "b"}, {Key: "a"}}}))
	if a, ok := d.Account("mira"); !ok || !a.Secret.Credential().CheckPassword("one") {
		t.Error("who was created cannot log in")
	}
	if u, _ := d.User("mira"); u.Properties[0].Key != "a" {
		t.Error("properties aren't sorted")
	}
	refused(p.CreateUsers(ctx, by, []directory.NewUser{{Username: "tobias", Password: "x"}, {Username: "mira", Password: "y"}}), directory.ErrExists)
	if _, ok := d.User("tobias"); ok {
		t.Error("a refused batch made a user")
	}

	password, locked := "two", true
	must(p.UpdateUser(ctx, by, "mira", directory.UserUpdate{Password: &password, Locked: &locked}))
	if a, _ := d.Account("mira"); !a.Locked || !a.Secret.Credential().CheckPassword("two") {
		t.Error("the update isn't in force")
	}
	refused(p.UpdateUser(ctx, by, "nobody", directory.UserUpdate{}), directory.ErrNotFound)

	c := directory.Contact{JID: jid.MustParse("tobias@chat.example"), Name: "T"}
	refused(p.PutContact(ctx, by, "mira", c, false), directory.ErrNotFound)
	must(p.PutContact(ctx, by, "mira", c, true))
	refused(p.PutContact(ctx, by, "mira", c, true), directory.ErrExists)
	c.Name = "Tobias"
	must(p.PutContact(ctx, by, "mira", c, false))
	if u, _ := d.User("mira"); len(u.Contacts) != 1 || u.Contacts[0].Name != "Tobias" {
		t.Errorf("contacts %+v", u.Contacts)
	}
	must(p.DeleteContact(ctx, by, "mira", c.JID))
	refused(p.DeleteContact(ctx, by, "mira", c.JID), directory.ErrNotFound)

	refused(p.PutProperty(ctx, by, directory.KeyAnonymous, "true", true), directory.ErrNotFound)
	must(p.PutProperty(ctx, by, directory.KeyAnonymous, "true", false))
	if !d.Bool(directory.KeyAnonymous) {
		t.Error("the property isn't in force")
	}
	must(p.DeleteProperty(ctx, by, directory.KeyAnonymous))
	refused(p.DeleteProperty(ctx, by, directory.KeyAnonymous), directory.ErrNotFound)

	managed := &directory.ManagedError{Field: "spec", Manager: "argocd"}
	p.Refuse = func(method, subject string) error {
		if method == "DeleteUser" && subject == "mira" {
			return managed
		}
		return nil
	}
	refused(p.DeleteUser(ctx, by, "mira"), managed)
	p.Refuse = nil
	must(p.DeleteUser(ctx, by, "mira"))
	if _, ok := d.Account("mira"); ok {
		t.Error("a deleted account is still there")
	}
}
