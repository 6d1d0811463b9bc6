package jid

import (
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/secure/precis"
)

// What an ASCII byte may be in a prepared part. Everything that these classes admit is left alone by preparation, which
// is what lets addresses of plain ASCII pass without looking at Unicode tables.
const (
	inLocal    = 1 << iota // RFC 7622 §3.3: visible ASCII, lower case, without the eight excluded characters
	inDomain               // RFC 7622 §3.2: letters in lower case, digits, hyphen
	inResource             // RFC 7622 §3.4: printable ASCII
	inUpper                // A to Z: mapped to lower case in localparts and domainparts
)

// ascii is the class table; a constant array in spirit.
var ascii = func() (t [256]uint8) {
	for c := 0x20; c < 0x7f; c++ {
		t[c] |= inResource
		if c > 0x20 && !strings.ContainsRune(`"&'/:<>@`, rune(c)) {
			t[c] |= inLocal
		}
	}
	for c := 'A'; c <= 'Z'; c++ {
		t[c] = t[c]&^inLocal | inUpper
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c] |= inDomain
	}
	for c := '0'; c <= '9'; c++ {
		t[c] |= inDomain
	}
	t['-'] |= inDomain
	return t
}()

// simple recognises an address that consists of plain ASCII in its prepared form, which is what nearly all of them are.
// It never says no for good: what it doesn't recognise goes the long way.
func simple(s string) (JID, bool) {
	i := 0
	for i < len(s) && ascii[s[i]]&inLocal != 0 {
		i++
	}
	at, d := 0, 0
	if i < len(s) && s[i] == '@' {
		if i == 0 || i > MaxPart {
			return JID{}, false
		}
		at, d = i, i+1
	}
	end, ok := simpleDomain(s[d:])
	if !ok {
		return JID{}, false
	}
	slash := d + end
	if slash == len(s) {
		return JID{s: s, at: uint16(at), slash: uint16(slash)}, true
	}
	r := s[slash+1:]
	if s[slash] != '/' || r == "" || len(r) > MaxPart || r[0] == ' ' {
		return JID{}, false
	}
	for i := 0; i < len(r); i++ {
		if ascii[r[i]]&inResource == 0 {
			return JID{}, false
		}
	}
	return JID{s: s, at: uint16(at), slash: uint16(slash)}, true
}

// simpleDomain recognises a domain name of letters, digits and hyphens in lower case at the start of s and returns where
// it ends. Labels that could be A-labels, numbers that could be an IP address and all else are left to PrepareDomain.
func simpleDomain(s string) (end int, ok bool) {
	label, letters := 0, false
	i := 0
	for ; i < len(s); i++ {
		c := s[i]
		if ascii[c]&inDomain != 0 {
			if c == '-' {
				if i == label || i-label == 3 && s[i-1] == '-' {
					return 0, false
				}
			} else if c >= 'a' {
				letters = true
			}
			continue
		}
		if c == '/' {
			break
		}
		if c != '.' || i == label || s[i-1] == '-' || i-label > 63 {
			return 0, false
		}
		label, letters = i+1, false
	}
	if i == label || s[i-1] == '-' || i-label > 63 || i > 253 || !letters {
		return 0, false
	}
	return i, true
}

// PrepareLocal prepares a localpart: the UsernameCaseMapped profile of PRECIS without the eight characters that addresses
// and XML need for themselves (RFC 7622 §3.3).
func PrepareLocal(s string) (string, error) {
	if s == "" {
		return "", fault("localpart", "is empty")
	}
	plain, upper := true, false
	for i := 0; i < len(s); i++ {
		switch {
		case ascii[s[i]]&inLocal != 0:
		case ascii[s[i]]&inUpper != 0:
			upper = true
		default:
			plain = false
		}
	}
	switch {
	case plain && upper:
		s = strings.ToLower(s)
	case !plain:
		p, err := stable(precis.UsernameCaseMapped, s)
		if err != nil {
			return "", fault("localpart", err.Error())
		}
		s = p
	}
	if i := strings.IndexAny(s, `"&'/:<>@`); i >= 0 {
		return "", fault("localpart", "contains "+string(s[i])+", which isn't allowed there")
	}
	if len(s) > MaxPart {
		return "", fault("localpart", "is longer than 1023 bytes")
	}
	return s, nil
}

// PrepareResource prepares a resourcepart: the OpaqueString profile of PRECIS (RFC 7622 §3.4). A leading space is refused
// because RFC 7622 §3.5, table 2, lists it among the strings that are no addresses.
func PrepareResource(s string) (string, error) {
	if s == "" {
		return "", fault("resourcepart", "is empty")
	}
	for i := 0; i < len(s); i++ {
		if ascii[s[i]]&inResource != 0 {
			continue
		}
		p, err := stable(precis.OpaqueString, s)
		if err != nil {
			return "", fault("resourcepart", err.Error())
		}
		s = p
		break
	}
	if s[0] == ' ' {
		return "", fault("resourcepart", "begins with a space")
	}
	if len(s) > MaxPart {
		return "", fault("resourcepart", "is longer than 1023 bytes")
	}
	return s, nil
}

type reason string

func (r reason) Error() string { return string(r) }

// stable applies a PRECIS profile and refuses strings for which it doesn't settle: RFC 8264 §7 notes that the rules may
// not be idempotent, and an address that changes when it is prepared again would be two addresses.
func stable(p *precis.Profile, s string) (string, error) {
	if !utf8.ValidString(s) {
		return "", reason("isn't valid UTF-8")
	}
	once, err := p.String(s)
	if err != nil {
		return "", reason("contains characters that aren't allowed there")
	}
	if once == "" {
		return "", reason("is empty once prepared")
	}
	again, err := p.String(once)
	if err != nil || again != once {
		return "", reason("has no stable prepared form")
	}
	return once, nil
}

// domains is IDNA2008 with the mappings that RFC 7622 §3.2.2 asks for (lower case, width, NFC): non-transitional, strict
// letter-digit-hyphen labels, contextual and Bidi rules, and the length limits of DNS.
var domains = idna.New(
	idna.MapForLookup(),
	idna.BidiRule(),
	idna.Transitional(false),
	idna.StrictDomainName(true),
	idna.ValidateLabels(true),
	idna.CheckHyphens(true),
	idna.CheckJoiners(true),
	idna.VerifyDNSLength(true),
)

// labels admits the letters, digits and marks that RFC 5892 §3 derives for domain labels: the PRECIS IdentifierClass draws
// the same line (RFC 8264 §9), while the tables of x/net/idna, made for UTS #46, let symbols pass as well.
var labels = precis.NewIdentifier() //nolint:gochecknoglobals // A table that nobody writes.

// HostName writes a prepared domainpart as DNS and certificates have it: with A-labels (RFC 5890 §2.3.2.1), an IPv6 address without its brackets.
func HostName(domain string) string {
	if address, ok := strings.CutPrefix(domain, "["); ok {
		return strings.TrimSuffix(address, "]")
	}
	if a, err := domains.ToASCII(domain); err == nil {
		return a
	}
	return domain
}

// PrepareDomain prepares a domainpart: a domain name with its labels as U-labels in lower case, without the final dot, or
// an IPv4 address, or an IPv6 address in square brackets (RFC 7622 §3.2).
func PrepareDomain(s string) (string, error) {
	if s == "" {
		return "", fault("domainpart", "is empty")
	}
	if end, ok := simpleDomain(s); ok && end == len(s) {
		return s, nil
	}
	if len(s) > maxAddress || !utf8.ValidString(s) {
		return "", fault("domainpart", "isn't a domain name")
	}
	if s[0] == '[' {
		return prepareIPv6(s)
	}
	// The root's dot says nothing (RFC 7622 §3.2: it is stripped before anything else is done).
	s = strings.TrimSuffix(s, ".")
	if s == "" || s[len(s)-1] == '.' {
		return "", fault("domainpart", "has an empty label")
	}
	// The A-label form exists only to let DNS' limits and the whole of the label rules be checked; the address holds
	// U-labels (RFC 7622 §3.2.1).
	a, err := domains.ToASCII(s)
	if err != nil {
		return "", fault("domainpart", whyNoDomain(s))
	}
	u, err := domains.ToUnicode(a)
	if err != nil {
		return "", fault("domainpart", whyNoDomain(s))
	}
	for label := range strings.SplitSeq(u, ".") {
		if l, err := labels.String(label); err != nil || l != label {
			return "", fault("domainpart", "contains characters that aren't allowed in a domain name")
		}
	}
	if b, err := domains.ToASCII(u); err != nil || b != a {
		return "", fault("domainpart", "has no stable prepared form")
	}
	if len(u) > MaxPart {
		return "", fault("domainpart", "is longer than 1023 bytes")
	}
	if numeric(u) {
		// All digits and dots: an IPv4 address in its one canonical form, or nothing that could be told from one.
		ip, err := netip.ParseAddr(u)
		if err != nil || !ip.Is4() {
			return "", fault("domainpart", "looks like an IP address and isn't one")
		}
	}
	return u, nil
}

// whyNoDomain says what keeps s from being a domain name, to whoever has to write another.
func whyNoDomain(s string) string {
	for i := 0; i < len(s); i++ {
		// Letters, digits and hyphens (RFC 5890 §2.3.1); letters beyond ASCII have rules of their own.
		switch c := s[i]; {
		case c == ' ':
			return "contains a space, which isn't allowed there"
		case c < ' ' || c == 0x7f:
			return "contains a control character, which isn't allowed there"
		case c < utf8.RuneSelf && c != '.' && c != '-' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z'):
			return "contains " + string(rune(c)) + ", which isn't allowed there"
		}
	}
	for label := range strings.SplitSeq(s, ".") {
		switch a, err := domains.ToASCII(label); {
		case label == "" && s[0] == '.':
			return "begins with a dot"
		case label == "":
			return "has two dots in a row"
		case label[0] == '-' || label[len(label)-1] == '-':
			return "has the label " + strconv.Quote(label) + ", which begins or ends with a hyphen"
		case err != nil && len(a) > maxLabel:
			return "has a label of more than 63 bytes as DNS has it"
		case err != nil:
			return "has the label " + strconv.Quote(label) + ", which isn't allowed there"
		}
	}
	return "is longer than DNS allows, or mixes directions of writing"
}

// maxLabel is the longest that DNS takes between two dots (RFC 1035 §2.3.4).
const maxLabel = 63

// numeric reports whether the last label is all digits, so that the whole can only be an IPv4 address (RFC 1123 §2.1, RFC 3696 §2).
func numeric(s string) bool {
	s = s[strings.LastIndexByte(s, '.')+1:]
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// prepareIPv6 reads an address literal in brackets and gives it the one spelling of RFC 5952.
func prepareIPv6(s string) (string, error) {
	if len(s) < 2 || s[len(s)-1] != ']' {
		return "", fault("domainpart", "has an opening bracket without its closing one")
	}
	ip, err := netip.ParseAddr(s[1 : len(s)-1])
	if err != nil || !ip.Is6() || ip.Zone() != "" {
		return "", fault("domainpart", "has something other than an IPv6 address in brackets")
	}
	return "[" + ip.String() + "]", nil
}
