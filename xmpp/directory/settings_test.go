package directory_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/directory"
)

func property(uid, key, value string) directory.SystemProperty {
	return directory.SystemProperty{Ref: ref(key, uid, 1), Key: key, Value: value}
}

func TestLastGoodValueStaysInForce(t *testing.T) {
	d := directory.New("chat.example")
	if got := d.Duration(directory.KeyPurgeDelay); got != 7*24*time.Hour {
		t.Errorf("the default is %v, want 168h", got)
	}
	if err := d.PutProperty(property("1", directory.KeyPurgeDelay, " 2h ")); err != nil {
		t.Fatal(err)
	}
	err := d.PutProperty(property("1", directory.KeyPurgeDelay, "soon"))
	var invalid *directory.InvalidError
	if !errors.As(err, &invalid) || invalid.Field != directory.KeyPurgeDelay || !strings.Contains(invalid.Message, `"soon"`) {
		t.Errorf("PutProperty of a bad value: %v", err)
	}
	if got := d.Duration(directory.KeyPurgeDelay); got != 2*time.Hour {
		t.Errorf("after a bad value %v is in force, want the last good one, 2h", got)
	}
	if p, _ := d.Property(directory.KeyPurgeDelay); p.Value != "soon" {
		t.Errorf("the entry is served back as %q", p.Value)
	}
	d.DeleteProperty(directory.KeyPurgeDelay, "1")
	if got := d.Duration(directory.KeyPurgeDelay); got != 7*24*time.Hour {
		t.Errorf("after the deletion %v is in force, want the default", got)
	}
}

func TestSettingIsInForceWhenWatchersHear(t *testing.T) {
	d := directory.New("chat.example")
	var seen []bool
	d.Watch(func(directory.Event) { seen = append(seen, d.Bool(directory.KeyAnonymous)) })
	if err := d.PutProperty(property("1", directory.KeyAnonymous, "TRUE")); err != nil {
		t.Fatal(err)
	}
	d.DeleteProperty(directory.KeyAnonymous, "1")
	if !slices.Equal(seen, []bool{true, false}) {
		t.Errorf("watchers saw %v", seen)
	}
}

func TestOnlyTheHoldersValueCounts(t *testing.T) {
	d := directory.New("chat.example")
	put := func(name, uid string, age int, value string) {
		t.Helper()
		if err := d.PutProperty(directory.SystemProperty{Ref: ref(name, uid, age), Key: directory.KeyConflictLimit, Value: value}); err != nil {
			t.Fatal(err)
		}
	}
	put("a", "A", 1, "3")
	put("b", "B", 2, "5")
	if got := d.Int(directory.KeyConflictLimit); got != 3 {
		t.Errorf("%d in force, want 3", got)
	}
	d.DeleteProperty("a", "A")
	if got := d.Int(directory.KeyConflictLimit); got != 5 {
		t.Errorf("%d in force, want 5", got)
	}
}

func TestValidateSetting(t *testing.T) {
	for _, c := range []struct{ key, good, bad string }{
		{directory.KeyAnonymous, "False", "yes"},
		{directory.KeyConflictLimit, "-1", "-2"},
		{directory.KeyConflictLimit, "12", "many"},
		{directory.KeyPurgeDelay, "0s", "-1h"},
		{directory.KeyAuditRetention, "0", "-1h"},
		{directory.KeyAuditRetention, "24h", "90 days"},
		{directory.KeyRESTAuth, "secret", "custom"},
		{directory.KeyMaxUnauthenticated, "0", "-1"},
		{directory.KeyLoginTime, "1s", "999ms"},
		{directory.KeyFailedLoginDelay, "24h", "25h"},
		{directory.KeyStanzaBytesBeforeLogin, "10000", "9999"}, // RFC 6120 §13.12
		{directory.KeyStanzaBytes, "524288", "524289"},
		{directory.KeyStanzaDepth, "8", "7"},
		{directory.KeyByteRate, "0", "9999"},
		{directory.KeyStanzaRate, "1", "2000000000"},
		{directory.KeyIdleTime, "0s", "29s"},
		{directory.KeyFloodTime, "0s", "-1s"},
		{directory.KeyMaxSessions, "1", "0"},
		{directory.KeyMaxContacts, "0", "100001"},
		{directory.KeyOutputBytes, "1048576", "1048575"},
		{directory.KeyRESTAllowedIPs, "192.0.2.7, 2001:db8::/32,", "192.0.2.7, example.com"},
		{"some.other.key", "anything", ""},
	} {
		if err := directory.ValidateSetting(c.key, c.good); err != nil {
			t.Errorf("%s = %q: %v", c.key, c.good, err)
		}
		if c.bad == "" {
			continue
		}
		var invalid *directory.InvalidError
		if err := directory.ValidateSetting(c.key, c.bad); !errors.As(err, &invalid) {
			t.Errorf("%s = %q was accepted (%v)", c.key, c.bad, err)
		}
	}
}

func TestSettingsTable(t *testing.T) {
	d := directory.New("chat.example")
	table := directory.Settings()
	for i, s := range table {
		if i > 0 && table[i-1].Key >= s.Key {
			t.Errorf("%s is out of order or there twice", s.Key)
		}
		if !strings.HasSuffix(s.Doc, ".") {
			t.Errorf("the description of %s is no sentence: %q", s.Key, s.Doc)
		}
		if err := directory.ValidateSetting(s.Key, s.Default); err != nil {
			t.Errorf("the default: %v", err)
		}
		if got := d.String(s.Key); got != s.Default {
			t.Errorf("%s is %q, want its default %q", s.Key, got, s.Default)
		}
	}
	if err := d.PutProperty(property("1", directory.KeyRESTAllowedIPs, "192.0.2.7 , ,198.51.100.0/24")); err != nil {
		t.Fatal(err)
	}
	if got := d.Strings(directory.KeyRESTAllowedIPs); !slices.Equal(got, []string{"192.0.2.7", "198.51.100.0/24"}) {
		t.Errorf("Strings = %q", got)
	}
}
