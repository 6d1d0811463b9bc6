package transfer

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// openfire asks the REST API of a running Openfire. It asks for XML, which is the same in all versions of the plugin, and changes nothing.
type openfire struct {
	base          *url.URL
	authorization string
	client        *http.Client
}

const (
	restRoot = "/plugins/restapi/v1"
	// maxBody bounds one answer: the list of all users or rooms is one.
	maxBody       = 512 << 20
	answerWithin  = 2 * time.Minute
	maxSecretFile = 4096
)

// restAccess is how to reach an Openfire.
type restAccess struct {
	url, secretFile, caFile string
	insecure, allowHTTP     bool
}

func newOpenfire(a restAccess) (*openfire, error) {
	base, err := url.Parse(a.url)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, &UsageError{fmt.Errorf("--url %q is no address such as https://openfire.example:9091", a.url)}
	}
	if base.Scheme == "http" && !a.allowHTTP && !isLoopback(base.Hostname()) {
		return nil, &UsageError{fmt.Errorf("--url %s would send the secret, and bring everything, over the network without encryption: "+
			"use https and port 9091, or give --allow-http where nobody can listen", base.Redacted())}
	}
	if !strings.Contains(base.Path, "/plugins/") {
		base = base.JoinPath(restRoot)
	}
	file, err := os.Open(a.secretFile)
	if err != nil {
		return nil, fmt.Errorf("--secret-file: %w", err)
	}
	defer func() { _ = file.Close() }()
	content, err := io.ReadAll(io.LimitReader(file, maxSecretFile))
	secret := strings.TrimSpace(string(content))
	if err != nil || secret == "" {
		return nil, errors.Join(fmt.Errorf("--secret-file: %s has no secret in it", a.secretFile), err)
	}
	o := &openfire{base: base, authorization: secret}
	if strings.Contains(secret, ":") {
		o.authorization = "Basic " + base64.StdEncoding.EncodeToString([]byte(secret))
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: a.insecure} //nolint:gosec // a person asked for it by a flag that says so
	if a.caFile != "" {
		pem, err := os.ReadFile(a.caFile)
		if err != nil {
			return nil, fmt.Errorf("--ca-file: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("--ca-file: %s has no certificate in it", a.caFile)
		}
	}
	o.client = &http.Client{
		Timeout:   answerWithin,
		Transport: &http.Transport{TLSClientConfig: config, Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: 2},
		// The secret goes to the address that was given, and to no other.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return o, nil
}

// isLoopback says whether a host is this machine.
func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// errNotThere says that Openfire has nothing of that name, or its plugin no such call.
var errNotThere = errors.New("it is not there")

// fetch reads one answer; the path is of escaped parts.
func (o *openfire) fetch(ctx context.Context, query url.Values, parts ...string) ([]byte, error) {
	at := o.base.JoinPath(parts...)
	at.RawQuery = query.Encode()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", o.authorization)
	r.Header.Set("Accept", "application/xml")
	answer, err := o.client.Do(r)
	if err != nil {
		return nil, fmt.Errorf("openfire cannot be asked: %w", err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxBody+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the answer of %s: %w", at.Redacted(), err)
	case len(body) > maxBody:
		return nil, fmt.Errorf("the answer of %s is larger than %d bytes", at.Redacted(), maxBody)
	}
	switch answer.StatusCode {
	case http.StatusOK:
		return body, nil
	case http.StatusNoContent, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotAcceptable:
		return nil, fmt.Errorf("%s: %w", at.Redacted(), errNotThere)
	case http.StatusUnauthorized:
		return nil, errors.New("openfire does not accept what is in --secret-file: it has to be the secret key of its REST API plugin, or USER:PASSWORD of an administrator, as the plugin is set")
	case http.StatusForbidden:
		return nil, errors.New("openfire refuses (403): its REST API is switched off, or does not take calls from this address")
	}
	return nil, fmt.Errorf("openfire answered %s with %s", at.Redacted(), answer.Status)
}

// get reads an answer into a value.
func (o *openfire) get(ctx context.Context, into any, query url.Values, parts ...string) error {
	body, err := o.fetch(ctx, query, parts...)
	if err != nil {
		return err
	}
	if err := xml.Unmarshal(body, into); err != nil {
		return fmt.Errorf("the answer of %s is not what Openfire's REST API answers: %w", o.base.JoinPath(parts...).Redacted(), err)
	}
	return nil
}

// The entities, as far as they are taken over.

type restUser struct {
	Username   string         `xml:"username"`
	Name       string         `xml:"name"`
	Email      string         `xml:"email"`
	Properties []restProperty `xml:"properties>property"`
}

type restProperty struct {
	Key   string `xml:"key,attr"`
	Value string `xml:"value,attr"`
}

type restUsers struct {
	XMLName xml.Name   `xml:"users"`
	Users   []restUser `xml:"user"`
}

type restProperties struct {
	XMLName    xml.Name       `xml:"properties"`
	Properties []restProperty `xml:"property"`
}

type restGroup struct {
	XMLName     xml.Name `xml:"group"`
	Name        string   `xml:"name"`
	Description string   `xml:"description"`
	Admins      []string `xml:"admins>admin"`
	Members     []string `xml:"members>member"`
	Shared      bool     `xml:"shared"`
}

type restGroups struct {
	XMLName xml.Name `xml:"groups"`
	Groups  []struct {
		Name string `xml:"name"`
	} `xml:"group"`
}

type restRoster struct {
	XMLName xml.Name `xml:"roster"`
	Items   []struct {
		JID          string   `xml:"jid"`
		Nickname     string   `xml:"nickname"`
		Subscription int      `xml:"subscriptionType"`
		Groups       []string `xml:"groups>group"`
	} `xml:"rosterItem"`
}

type restServices struct {
	XMLName  xml.Name `xml:"chatServices"`
	Services []struct {
		Name        string `xml:"serviceName"`
		Description string `xml:"description"`
		Hidden      bool   `xml:"hidden"`
	} `xml:"chatService"`
}

type restRoom struct {
	Name                 string   `xml:"roomName"`
	NaturalName          string   `xml:"naturalName"`
	Description          string   `xml:"description"`
	Password             string   `xml:"password"`
	Subject              string   `xml:"subject"`
	Created              string   `xml:"creationDate"`
	MaxUsers             int32    `xml:"maxUsers"`
	Persistent           bool     `xml:"persistent"`
	Public               bool     `xml:"publicRoom"`
	Registration         bool     `xml:"registrationEnabled"`
	AnyoneDiscovers      bool     `xml:"canAnyoneDiscoverJID"`
	OccupantsChange      bool     `xml:"canOccupantsChangeSubject"`
	OccupantsInvite      bool     `xml:"canOccupantsInvite"`
	ChangeNickname       bool     `xml:"canChangeNickname"`
	Log                  bool     `xml:"logEnabled"`
	RestrictedToNickname bool     `xml:"loginRestrictedToNickname"`
	MembersOnly          bool     `xml:"membersOnly"`
	Moderated            bool     `xml:"moderated"`
	Broadcast            []string `xml:"broadcastPresenceRoles>broadcastPresenceRole"`
	Owners               []string `xml:"owners>owner"`
	Admins               []string `xml:"admins>admin"`
	Members              []string `xml:"members>member"`
	Outcasts             []string `xml:"outcasts>outcast"`
	OwnerGroups          []string `xml:"ownerGroups>ownerGroup"`
	AdminGroups          []string `xml:"adminGroups>adminGroup"`
	MemberGroups         []string `xml:"memberGroups>memberGroup"`
	OutcastGroups        []string `xml:"outcastGroups>outcastGroup"`
	AllowPM              string   `xml:"allowPM"`
}

type restRooms struct {
	XMLName xml.Name   `xml:"chatRooms"`
	Rooms   []restRoom `xml:"chatRoom"`
}
