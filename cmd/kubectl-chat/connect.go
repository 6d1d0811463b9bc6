package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/transport"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
)

// Ways to log in to the REST API.
const (
	authSecret = "secret"
	authToken  = "token"
)

const (
	// installation is the name of the StatefulSet that the chart and config/manager make, and of the Secret that the server makes for itself: a
	// namespace has one.
	installation = "chat-operator"
	// secretProperty replaces the installation's secret of the REST API.
	secretProperty = "plugin.restapi.secret"
	// callTimeout is more than the server gives itself for its longest call.
	callTimeout = 75 * time.Second
)

// connect reaches the REST API of the namespace's chat server. Whoever calls it calls close of what it gives.
func (o *options) connect(ctx context.Context, k *kubernetes) (*chatServer, error) {
	if o.restURL == "" && (o.caFile != "" || o.serverName != "" || o.insecure) {
		return nil, errors.New("--rest-ca-file, --rest-tls-server-name and --rest-insecure-skip-tls-verify are for a server that is given with --rest-url: " +
			"to a Pod the Kubernetes API server leads, which has proved who it is")
	}
	authorization, credential, err := o.credentials(ctx, k)
	if err != nil {
		return nil, err
	}
	var s *chatServer
	if o.restURL != "" {
		s, err = o.byAddress()
	} else {
		s, err = throughPod(ctx, k)
	}
	if err != nil {
		return nil, err
	}
	s.authorization, s.credential = authorization, credential
	return s, nil
}

// newClient calls one server. It follows no redirection: what logs in there is not to go elsewhere.
func newClient(
	config *tls.Config, proxy func(*http.Request) (*url.URL, error), dial func(ctx context.Context, network, address string) (net.Conn, error),
) *http.Client {
	return &http.Client{
		Timeout:       callTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport:     &http.Transport{Proxy: proxy, DialContext: dial, TLSClientConfig: config, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: atOnce},
	}
}

// byAddress is a server that was given by its address.
func (o *options) byAddress() (*chatServer, error) {
	u, err := url.Parse(o.restURL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("--rest-url %q is no address: write it like https://chat.example:9091", o.restURL)
	}
	if u.User != nil {
		return nil, errors.New("--rest-url has a user or password in it: leave them out, and name a Secret with --rest-secret or a file with --rest-secret-file")
	}
	if u.Scheme == "http" && !isLoopback(u.Hostname()) {
		return nil, fmt.Errorf("--rest-url %s would send what logs you in over the network without encryption: use https and port 9091", o.restURL)
	}
	base := strings.TrimRight(u.Path, "/")
	if base == "" {
		base = restBase
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: o.serverName, InsecureSkipVerify: o.insecure}
	if o.caFile != "" {
		pem, err := os.ReadFile(o.caFile)
		if err != nil {
			return nil, fmt.Errorf("--rest-ca-file: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("--rest-ca-file %s holds no certificate (PEM)", o.caFile)
		}
	}
	at := u.Scheme + "://" + u.Host
	return &chatServer{base: at + base, where: "the chat server at " + at, client: newClient(config, http.ProxyFromEnvironment, nil), close: func() {}}, nil
}

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// credentials are the value of the Authorization header, and what to call it.
func (o *options) credentials(ctx context.Context, k *kubernetes) (value, name string, err error) {
	switch o.auth {
	case authToken:
		if o.secretFile != "" || o.restSecret != "" {
			return "", "", errors.New("--auth=token goes without --rest-secret and --rest-secret-file: give one or the other")
		}
		value, err = ownToken(k.config)
		return value, "your Kubernetes token", err
	case authSecret:
	default:
		return "", "", fmt.Errorf("--auth %q is no way to log in: choose %s or %s", o.auth, authSecret, authToken)
	}
	if o.secretFile != "" {
		if o.restSecret != "" {
			return "", "", errors.New("--rest-secret and --rest-secret-file say the same: give one of them")
		}
		content, err := os.ReadFile(o.secretFile)
		if err != nil {
			return "", "", fmt.Errorf("--rest-secret-file: %w", err)
		}
		if content = bytes.TrimSpace(content); len(content) == 0 {
			return "", "", fmt.Errorf("--rest-secret-file %s is empty", o.secretFile)
		}
		return headerValue(content, "the secret of file "+o.secretFile)
	}
	secret, key, unread := o.restSecret, v1alpha1.RESTSecretKey, ""
	if secret == "" {
		secret = installation
		switch property, err := k.property(ctx, secretProperty); {
		case err == nil && property == nil:
		case err == nil:
			if from := property.Spec.ValueFrom; from != nil {
				secret, key = from.SecretKeyRef.Name, from.SecretKeyRef.Key
			} else if value := property.Spec.Value; value != nil && strings.TrimSpace(*value) != "" {
				return headerValue([]byte(*value), "the secret of SystemProperty "+property.Name)
			}
		case apierrors.IsForbidden(err):
			// The installation's secret is tried: mostly nobody has replaced it.
			unread = "; whether property " + secretProperty + " names another you may not read"
		default:
			return "", "", err
		}
	}
	found, err := k.core.Secrets(k.namespace).Get(ctx, secret, metav1.GetOptions{})
	switch {
	case apierrors.IsForbidden(err):
		return "", "", fmt.Errorf("your Kubernetes user may not read Secret %q of namespace %q, which the chat server's REST API is opened with: "+
			"ask for that right, give a secret with --rest-secret or --rest-secret-file, or send your own Kubernetes token to the chat server with --auth=token%s", secret, k.namespace, unread)
	case apierrors.IsNotFound(err):
		if o.restURL == "" {
			// A server that is not there, or cannot start, has made none.
			if _, failed := findPod(ctx, k); failed != nil {
				return "", "", failed
			}
		}
		return "", "", fmt.Errorf("namespace %q has no Secret %q, which the chat server makes at its first start: choose the namespace of a chat server with --namespace, "+
			"or name another Secret with --rest-secret%s", k.namespace, secret, unread)
	case err != nil:
		return "", "", k.explain("get secrets", err)
	}
	return headerValue(found.Data[key], fmt.Sprintf("the secret of Secret %s/%s%s", k.namespace, secret, unread))
}

// headerValue is a secret without the blanks around it, which the server leaves out as well.
func headerValue(secret []byte, name string) (value, called string, err error) {
	secret = bytes.TrimSpace(secret)
	if len(secret) == 0 {
		return "", "", fmt.Errorf("%s is empty", name)
	}
	if bytes.ContainsFunc(secret, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", "", fmt.Errorf("%s cannot be sent: it has line feeds or other control characters", name)
	}
	return string(secret), name, nil
}

func adviceUnauthorized(credential string) string {
	if credential == "your Kubernetes token" {
		return "for that its operator has to be allowed to ask the API server about tokens (management.kubernetesTokens in the chart), and plugin.restapi.httpAuth must be unset; or use --auth=secret"
	}
	return "property plugin.restapi.httpAuth may be basic, or your address is not in plugin.restapi.allowedIPs; name another Secret with --rest-secret, or use --auth=token"
}

// ownToken is the Authorization header that the kubeconfig's user sends to the API server, whether the token stands in the file or a
// program gets it.
func ownToken(config *rest.Config) (string, error) {
	if config.Impersonate.UserName != "" {
		return "", errors.New("--as does not go with --auth=token: the chat server would see your own token, and not whom you play")
	}
	c, err := config.TransportConfig()
	if err != nil {
		return "", fmt.Errorf("the kubeconfig cannot be used: %w", err)
	}
	var header string
	wrapped, err := transport.HTTPWrappersForConfig(c, roundTripper(func(r *http.Request) (*http.Response, error) {
		header = r.Header.Get("Authorization")
		return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: r}, nil
	}))
	if err != nil {
		return "", fmt.Errorf("the kubeconfig cannot be used: %w", err)
	}
	// Nobody is called: the request ends in the function above.
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "https://nobody.invalid/", http.NoBody)
	if err != nil {
		return "", err
	}
	resp, err := wrapped.RoundTrip(req)
	if err != nil {
		return "", fmt.Errorf("getting your Kubernetes token: %w", err)
	}
	resp.Body.Close()
	if scheme, _, _ := strings.Cut(header, " "); !strings.EqualFold(scheme, "Bearer") {
		return "", errors.New("your kubeconfig has no token, but a certificate or a password, which cannot be passed on: use --auth=secret")
	}
	return header, nil
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
