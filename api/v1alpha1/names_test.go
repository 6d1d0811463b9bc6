package v1alpha1_test

import (
	"strings"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
)

// The hashes below were computed outside this program: the lower-case base32 of the first 16 bytes of the name's SHA-256.
var _ = DescribeTable("A chat name becomes a resource name", func(name, resource string) {
	Expect(v1alpha1.EncodeName(name)).To(Equal(resource))
},
	Entry("itself where it can be one", "mira", "mira"),
	Entry("itself with dots", "xmpp.auth.anonymous", "xmpp.auth.anonymous"),
	Entry("itself where it begins with a digit", "0day", "0day"),
	Entry("slug and hash where it has blanks and capitals", "Night Shift", "night-shift-x3grl6u2dpq4kiq5mrqjuf73fqe"),
	Entry("hash alone where no ASCII is left", "Дж", "xf4fi5sczcscab5lngiv4uxclem"),
	Entry("slug and hash where it would look encoded", "x"+strings.Repeat("a", 26), "x"+strings.Repeat("a", 26)+"-xdzc7wommnkx5h5frcdfg724mly"),
	Entry("itself at 200 characters", strings.Repeat("a", 200), strings.Repeat("a", 200)),
)

var _ = DescribeTable("A room becomes a resource name", func(room, service, resource string) {
	Expect(v1alpha1.EncodeRoomName(room, service)).To(Equal(resource))
},
	Entry("as any name in the default service", "lobby", "conference", "lobby"),
	Entry("as any name when no service is given", "lobby", "", "lobby"),
	Entry("with its service in any other", "lobby", "workshop", "lobby-workshop-xpiidocaumvctkdp2274udoof6i"),
)

var _ = Describe("An encoded name", func() {
	It("is short however long the name is", func() {
		long := v1alpha1.EncodeName(strings.Repeat("a", 201))
		Expect(long).To(HavePrefix(strings.Repeat("a", 40) + "-x"))
		Expect(long).To(HaveLen(40 + 2 + 26))
	})
	It("has no hyphen where the cut left one", func() {
		Expect(v1alpha1.EncodeName(strings.Repeat("b", 39) + " tail")).To(HavePrefix(strings.Repeat("b", 39) + "-x"))
		Expect(v1alpha1.EncodeName("--mira--")).To(MatchRegexp(`^mira-x[a-z2-7]{26}$`))
	})
	It("keeps names apart that have one slug", func() {
		Expect(v1alpha1.EncodeName("Night Shift")).NotTo(Equal(v1alpha1.EncodeName("Night  Shift")))
		Expect(v1alpha1.EncodeName("lobby@workshop")).NotTo(Equal(v1alpha1.EncodeName("lobby-workshop")))
	})
})

var _ = Describe("The effective name", func() {
	named := metav1.ObjectMeta{Name: "resource"}
	It("is metadata.name where the spec gives none", func() {
		Expect((&v1alpha1.ChatUser{ObjectMeta: named}).EffectiveUsername()).To(Equal("resource"))
		Expect((&v1alpha1.ChatGroup{ObjectMeta: named}).EffectiveGroupName()).To(Equal("resource"))
		Expect((&v1alpha1.ChatRoom{ObjectMeta: named}).EffectiveRoomName()).To(Equal("resource"))
		Expect((&v1alpha1.ChatRoom{ObjectMeta: named}).EffectiveService()).To(Equal("conference"))
		Expect((&v1alpha1.SystemProperty{ObjectMeta: named}).EffectiveKey()).To(Equal("resource"))
	})
	It("is what the spec says", func() {
		given := "given"
		Expect((&v1alpha1.ChatUser{ObjectMeta: named, Spec: v1alpha1.ChatUserSpec{Username: &given}}).EffectiveUsername()).To(Equal(given))
		Expect((&v1alpha1.ChatGroup{ObjectMeta: named, Spec: v1alpha1.ChatGroupSpec{GroupName: &given}}).EffectiveGroupName()).To(Equal(given))
		Expect((&v1alpha1.ChatRoom{ObjectMeta: named, Spec: v1alpha1.ChatRoomSpec{RoomName: &given}}).EffectiveRoomName()).To(Equal(given))
		Expect((&v1alpha1.ChatRoom{ObjectMeta: named, Spec: v1alpha1.ChatRoomSpec{Service: &given}}).EffectiveService()).To(Equal(given))
		Expect((&v1alpha1.SystemProperty{ObjectMeta: named, Spec: v1alpha1.SystemPropertySpec{Key: &given}}).EffectiveKey()).To(Equal(given))
	})
})

// FuzzEncodeName looks for names that come out illegal, and for pairs that come out the same.
func FuzzEncodeName(f *testing.F) {
	names := []string{"mira", "Mira", "", "Night Shift", "Дж", "lobby@workshop", "lobby-workshop", "x3grl6u2dpq4kiq5mrqjuf73fqe",
		"night-shift-x3grl6u2dpq4kiq5mrqjuf73fqe", "a.b", "a..b", "-", ".", "\xff", strings.Repeat("a", 200), strings.Repeat("a", 201), "İ", "K"}
	for _, a := range names {
		for _, b := range names {
			f.Add(a, b)
		}
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		x, y := v1alpha1.EncodeName(a), v1alpha1.EncodeName(b)
		if errs := validation.IsDNS1123Subdomain(x); errs != nil {
			t.Errorf("%q becomes %q: %v", a, x, errs)
		}
		if len(x) > 200 {
			t.Errorf("%q becomes %q of %d characters", a, x, len(x))
		}
		if plain := v1alpha1.IsPlainName(a); plain != (x == a) || plain == v1alpha1.LooksEncoded(x) {
			t.Errorf("%q becomes %q: plain %t, looks encoded %t", a, x, plain, v1alpha1.LooksEncoded(x))
		}
		if a != b && x == y {
			t.Errorf("%q and %q both become %q", a, b, x)
		}
	})
}
