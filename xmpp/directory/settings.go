package directory

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/jid"
)

// Keys of the system properties that the server honours. What they mean stands in the
// table below, from which documentation and REST's list are made.
const (
	KeyAnonymous          = "xmpp.auth.anonymous"
	KeyAuditRetention     = "audit.retention"
	KeyConflictLimit      = "xmpp.session.conflict-limit"
	KeyResumeTimeout      = "xmpp.session.resume-timeout"
	KeyOfflineAge         = "xmpp.offline.max-age"
	KeyOfflineMessages    = "xmpp.offline.max-messages"
	KeyPurgeDelay         = "accounts.purgeDelay"
	KeyTraceUsers         = "xmpp.trace.users"
	KeyRESTEnabled        = "plugin.restapi.enabled"
	KeyRESTAuth           = "plugin.restapi.httpAuth"
	KeyRESTAllowedIPs     = "plugin.restapi.allowedIPs"
	KeyRESTSecret         = "plugin.restapi.secret"
	KeyRESTOrigins        = "plugin.restapi.corsOrigins"
	KeyRESTServiceLogging = "plugin.restapi.serviceLoggingEnabled"
	KeyRESTOverride       = "plugin.restapi.overrideManaged"
)

// Type is the type of a setting's value.
type Type uint8

// Types of settings.
const (
	TypeString Type = iota
	TypeBool
	TypeInt
	TypeDuration
	// TypeStrings is a comma-separated list; blanks around entries and empty entries don't count.
	TypeStrings
)

// String names the type for documentation.
func (t Type) String() string {
	switch t {
	case TypeBool:
		return "boolean"
	case TypeInt:
		return "integer"
	case TypeDuration:
		return "duration"
	case TypeStrings:
		return "comma-separated list"
	}
	return "string"
}

// Setting describes a system property that the server honours.
type Setting struct {
	Key  string
	Type Type
	// Default is in force when nothing (good) is declared.
	Default string
	// Doc says in a sentence or two what the setting does, with its unit and its range.
	Doc string
	// Live settings take effect without a restart.
	Live bool
	// Secret values are masked wherever they are shown.
	Secret bool

	// check refuses values of the right type that make no sense; nil: none.
	check func(settingValue) error
}

// Settings lists the system properties that the server honours, by key.
func Settings() []Setting {
	table := []Setting{
		{
			Key: KeyPurgeDelay, Type: TypeDuration, Default: "168h", Live: true,
			Doc: "How long the remembered data of a deleted account is kept, in case its declaration comes back. " +
				"Accounts with deletionPolicy Retain are never purged.",
			check: notNegative,
		},
		{
			Key: KeyAuditRetention, Type: TypeDuration, Default: "2160h", Live: true,
			Doc: "How long an entry of the audit log is kept: older ones are deleted within the hour. 0: for ever, and the " +
				"database grows without a limit.",
			check: notNegative,
		},
		{
			Key: KeyOfflineAge, Type: TypeDuration, Default: "720h", Live: true,
			Doc: "How long a message waits for an account that nobody is logged in to: older ones are not given back, and are deleted within " +
				"the hour. 0: for ever.",
			check: notNegative,
		},
		{
			Key: KeyOfflineMessages, Type: TypeInt, Default: "1000", Live: true,
			Doc: "How many messages may wait for an account that nobody is logged in to: the sender of a further one gets the error " +
				"service-unavailable. 0: none are kept.",
			check: atLeast(0),
		},
		{
			Key: KeyRESTAllowedIPs, Type: TypeStrings, Default: "", Live: true,
			Doc:   "The addresses and networks (such as 192.0.2.7 or 2001:db8::/32) that may use the REST API. Empty: everybody.",
			check: networks,
		},
		{
			Key: KeyRESTOrigins, Type: TypeStrings, Default: "*", Live: true,
			Doc: "The origins (such as https://app.example) whose pages may read answers of the REST API in a browser (CORS); * is all of them. " +
				"Empty: none.",
			check: origins,
		},
		{
			Key: KeyRESTEnabled, Type: TypeBool, Default: "true", Live: true,
			Doc: "Whether the REST API answers. Liveness, readiness and openapi.yaml always do.",
		},
		{
			Key: KeyRESTAuth, Type: TypeString, Default: "", Live: true,
			Doc: "How REST callers authenticate: basic (an administrator's name and password) or secret " +
				"(a shared secret as the Authorization header). Empty: either, or by a Kubernetes token.",
			check: oneOf("", "basic", "secret"),
		},
		{
			Key: KeyRESTOverride, Type: TypeBool, Default: "false", Live: true,
			Doc: "Whether the REST API may change what is declared elsewhere, for instance by a GitOps tool.",
		},
		{
			Key: KeyRESTSecret, Type: TypeString, Default: "", Live: true, Secret: true,
			Doc: "The shared secret of the REST API. Empty: the one that the installation made at its first start.",
		},
		{
			Key: KeyRESTServiceLogging, Type: TypeBool, Default: "false", Live: true,
			Doc: "Whether every REST call is logged.",
		},
		{
			Key: KeyTraceUsers, Type: TypeStrings, Default: "", Live: true,
			Doc: "The usernames whose stanzas are logged, at most 32: direction, kind, type, id, addresses and the names of the elements inside, never a text. " +
				"More than 100 in a second are left out. Empty: nobody's.",
			check: usernames,
		},
		{
			Key: KeyAnonymous, Type: TypeBool, Default: "false", Live: true,
			Doc: "Whether clients may log in without an account (SASL ANONYMOUS).",
		},
		{
			Key: KeyConflictLimit, Type: TypeInt, Default: "0", Live: true,
			Doc: "What happens when a client asks for a resource that another session of the user has bound: 0 ends the old " +
				"session, a number n does so at the n-th attempt after it, -1 never: the new client is refused.",
			check: atLeast(-1),
		},
		{
			Key: KeyResumeTimeout, Type: TypeDuration, Default: "5m", Live: true,
			Doc: "How long a session whose connection was lost waits for its client to come back (XEP-0198). What was sent to it then goes to " +
				"another resource, the offline messages, or back. 0: it does not wait.",
			check: notNegative,
		},
	}
	table = append(table, limitSettings()...)
	table = append(table, roomSettings()...)
	slices.SortFunc(table, func(a, b Setting) int { return strings.Compare(a.Key, b.Key) })
	return table
}

// ValidateSetting says why a value cannot take effect, as an *InvalidError. Keys that
// the server doesn't honour take any value.
func ValidateSetting(key, value string) error {
	for _, s := range Settings() {
		if s.Key == key {
			_, err := s.parse(value)
			return err
		}
	}
	return validateRoomService(key, value)
}

// SettingOf finds what describes a key that the server honours.
func SettingOf(key string) (Setting, bool) {
	if strings.HasPrefix(key, RoomServicePrefix) && validateRoomService(key, "true") == nil {
		family := roomFamilies()[0]
		if strings.HasSuffix(key, RoomServiceHidden) {
			family = roomFamilies()[1]
		}
		return family, true
	}
	for _, s := range Settings() {
		if s.Key == key {
			return s, true
		}
	}
	return Setting{}, false
}

// Families lists the settings whose keys end in a name of one's choice.
func Families() []Setting { return roomFamilies() }

// settingValue is a value in all forms that its type has.
type settingValue struct {
	raw      string
	boolean  bool
	integer  int
	duration time.Duration
	list     []string
}

func (s *Setting) parse(raw string) (*settingValue, error) {
	trimmed := strings.TrimSpace(raw)
	v := &settingValue{raw: trimmed}
	var err error
	switch s.Type {
	case TypeBool:
		switch strings.ToLower(trimmed) {
		case "true":
			v.boolean = true
		case "false":
		default:
			err = s.refuse(raw, "use true or false")
		}
	case TypeInt:
		if v.integer, err = strconv.Atoi(trimmed); err != nil {
			err = s.refuse(raw, "use a whole number")
		}
	case TypeDuration:
		if v.duration, err = time.ParseDuration(trimmed); err != nil {
			err = s.refuse(raw, "use a number with a unit, such as 168h, 30m or 15s")
		}
	case TypeStrings:
		for one := range strings.SplitSeq(trimmed, ",") {
			if one = strings.TrimSpace(one); one != "" {
				v.list = append(v.list, one)
			}
		}
	case TypeString:
		// A secret or a text is taken as it is.
		v.raw = raw
	}
	if err != nil {
		return nil, err
	}
	if s.check != nil {
		if why := s.check(*v); why != nil {
			return nil, s.refuse(raw, why.Error())
		}
	}
	return v, nil
}

// refuse makes the error; values of secret settings are not repeated in it.
func (s *Setting) refuse(raw, advice string) error {
	if s.Secret {
		return &InvalidError{Field: s.Key, Message: "the value is not valid: " + advice}
	}
	const most = 64
	if r := []rune(raw); len(r) > most {
		raw = string(r[:most]) + "…"
	}
	return &InvalidError{Field: s.Key, Message: fmt.Sprintf("%q is not valid: %s", raw, advice)}
}

func notNegative(v settingValue) error {
	if v.duration < 0 {
		return fmt.Errorf("use a duration that is not negative")
	}
	return nil
}

func atLeast(least int) func(settingValue) error {
	return func(v settingValue) error {
		if v.integer < least {
			return fmt.Errorf("use a number that is at least %d", least)
		}
		return nil
	}
}

func oneOf(values ...string) func(settingValue) error {
	return func(v settingValue) error {
		if slices.Contains(values, v.raw) {
			return nil
		}
		var named []string
		for _, one := range values {
			if one != "" {
				named = append(named, one)
			}
		}
		return fmt.Errorf("use %s", strings.Join(named, " or "))
	}
}

// maxTraced is how many users can be traced at a time.
const maxTraced = 32

func usernames(v settingValue) error {
	if len(v.list) > maxTraced {
		return fmt.Errorf("name at most %d users", maxTraced)
	}
	for _, one := range v.list {
		if _, err := jid.PrepareLocal(one); err != nil {
			return fmt.Errorf("%q is no username: %w", one, err)
		}
	}
	return nil
}

func networks(v settingValue) error {
	for _, one := range v.list {
		if _, err := netip.ParseAddr(one); err == nil {
			continue
		}
		if _, err := netip.ParsePrefix(one); err == nil {
			continue
		}
		return fmt.Errorf("%q is neither an address, such as 192.0.2.7, nor a network, such as 192.0.2.0/24", one)
	}
	return nil
}

// origins are those of web pages as browsers write them (RFC 6454 §6.2), or all.
func origins(v settingValue) error {
	for _, one := range v.list {
		if one == "*" {
			continue
		}
		u, err := url.Parse(one)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || strings.Contains(one, "*") || one != u.Scheme+"://"+strings.ToLower(u.Host) {
			return fmt.Errorf("%q is no origin: write it as browsers do, such as https://app.example or http://localhost:8080, or * for all", one)
		}
	}
	return nil
}

// settings holds the effective values.
type settings struct {
	byKey map[string]*effective
}

type effective struct {
	Setting
	fallback *settingValue
	value    atomic.Pointer[settingValue]
}

func newSettings() *settings {
	s := &settings{byKey: map[string]*effective{}}
	for _, one := range Settings() {
		v, err := one.parse(one.Default)
		if err != nil {
			panic("directory: the default of " + one.Key + " is not valid: " + err.Error())
		}
		e := &effective{Setting: one, fallback: v}
		e.value.Store(v)
		s.byKey[one.Key] = e
	}
	return s
}

// apply puts a value in force unless it is bad: then the last good one stays.
func (s *settings) apply(key, raw string) {
	e, ok := s.byKey[key]
	if !ok {
		return
	}
	if v, err := e.parse(raw); err == nil {
		e.value.Store(v)
	}
}

// reset puts the default back in force.
func (s *settings) reset(key string) {
	if e, ok := s.byKey[key]; ok {
		e.value.Store(e.fallback)
	}
}

// get finds the effective value. A key that isn't in the table, or is of another type, is a
// mistake in the calling code that no input can cause.
func (s *settings) get(key string, types ...Type) *settingValue {
	e, ok := s.byKey[key]
	if !ok {
		panic("directory: " + key + " is not a setting")
	}
	if len(types) > 0 && !slices.Contains(types, e.Type) {
		panic("directory: the setting " + key + " is of type " + e.Type.String())
	}
	return e.value.Load()
}

// Bool is the effective value of a setting of that type: the last good one, else the default.
func (d *Directory) Bool(key string) bool { return d.settings.get(key, TypeBool).boolean }

// Int is the effective value of a setting of that type: the last good one, else the default.
func (d *Directory) Int(key string) int { return d.settings.get(key, TypeInt).integer }

// Duration is the effective value of a setting of that type: the last good one, else the default.
func (d *Directory) Duration(key string) time.Duration {
	return d.settings.get(key, TypeDuration).duration
}

// Strings is the effective value of a setting of that type: the last good one, else the
// default. The list is shared: do not change it.
func (d *Directory) Strings(key string) []string { return d.settings.get(key, TypeStrings).list }

// String is the effective value of a setting of any type as text: the last good one, else the default.
func (d *Directory) String(key string) string { return d.settings.get(key).raw }
