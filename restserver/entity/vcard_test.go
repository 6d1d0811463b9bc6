package entity_test

import (
	"strings"
	"testing"

	"github.com/chat-operator/chat-operator/restserver/entity"
)

// The card is the one of XEP-0054 §3.3; an answer has no prolog.
func TestVCardGolden(t *testing.T) {
	card := golden(t, "vcard.xml")
	prefixed := strings.NewReplacer("</", "</v:", "<", "<v:", "xmlns=", "xmlns:v=").Replace(card)
	for _, body := range []string{
		card,
		strings.ReplaceAll(card, `"`, "'"),
		"\uFEFF \n" + prolog + "<!-- mine -->\n" + strings.Replace(card, "<FN>", "<?x y?><!-- n --><FN>", 1) + "\n",
		strings.Replace(card, ` xmlns="vcard-temp"`, "", 1),
		prefixed,
	} {
		v, err := entity.ReadVCard("", []byte(body))
		if err != nil {
			t.Errorf("%s: %v", body, err)
			continue
		}
		if got := string(entity.Marshal(entity.XML, v)); got != card {
			t.Errorf("%s\n got %s\nwant %s", body, got, card)
		}
		if got := string(v.Bytes()); got != card {
			t.Errorf("bytes %s", got)
		}
	}
}

// What is no part of XEP-0054 is kept as well.
func TestVCardKeepsWhatItDoesNotKnow(t *testing.T) {
	for body, want := range map[string]string{
		`<vCard xmlns='vcard-temp' version='3.0' xml:lang='de'/>`: `<vCard xmlns="vcard-temp" version="3.0" xml:lang="de"/>`,
		`<vCard xmlns="vcard-temp"><FN>a &lt;&amp;&gt; "b"&#13;
 <![CDATA[<c>]]></FN></vCard>`: "<vCard xmlns=\"vcard-temp\"><FN>a &lt;&amp;&gt; \"b\"&#xD;\n &lt;c&gt;</FN></vCard>",
		`<vCard xmlns="vcard-temp" xmlns:o="urn:other"><o:x o:y='1' z='"'><FN/></o:x><FN/></vCard>`: `<vCard xmlns="vcard-temp"><x xmlns="urn:other" xmlns:a0="urn:other" a0:y="1" z="&quot;"><FN xmlns="vcard-temp"/></x><FN/></vCard>`,
	} {
		v, err := entity.ReadVCard("", []byte(body))
		if got := string(v.Bytes()); err != nil || got != want {
			t.Errorf("%s\n got %s, %v\nwant %s", body, got, err, want)
		}
	}
	if v, err := entity.ReadVCard("iso-8859-1", []byte("<vCard><FN>M\xfcller</FN></vCard>")); err != nil || string(v.Bytes()) != `<vCard xmlns="vcard-temp"><FN>Müller</FN></vCard>` {
		t.Errorf("%s, %v", v.Bytes(), err)
	}
}

func TestVCardsThatAreNone(t *testing.T) {
	for _, body := range []string{"", "  ", "{}", "null", "<vcard xmlns='vcard-temp'/>", "<vCard xmlns='urn:ietf:params:xml:ns:vcard-4.0'/>", "<user/>", "<vCard>", "<vCard/><vCard/>",
		"<vCard/>x", "x<vCard/>", "<!DOCTYPE vCard><vCard/>", "<vCard><FN></vCard>", "<vCard>&nbsp;</vCard>", "<vCard>\x01</vCard>", "<vCard a=b/>", "<!-- only -->",
		strings.Repeat("<vCard>", 1) + strings.Repeat("<a>", 40) + strings.Repeat("</a>", 40) + "</vCard>"} {
		if v, err := entity.ReadVCard("", []byte(body)); err == nil {
			t.Errorf("%q was read as %s", body, v.Bytes())
		}
	}
	if _, err := entity.ReadVCard("utf-16", []byte("<vCard/>")); err == nil {
		t.Error("an encoding that nobody reads was read")
	}
}
