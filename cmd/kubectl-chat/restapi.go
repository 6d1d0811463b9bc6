package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// restBase is where the REST API is below an address.
const restBase = "/plugins/restapi/v1"

// maxAnswer bounds what is read of an answer, in MiB.
const maxAnswer = 256

// readAnswer reads an answer that has at most so many MiB.
func readAnswer(from io.Reader, most int64) ([]byte, error) {
	answer, err := io.ReadAll(io.LimitReader(from, most<<20+1))
	if err == nil && int64(len(answer)) > most<<20 {
		err = tooLong(most)
	}
	return answer, err
}

// tooLong is an answer of more than so many MiB.
type tooLong int64

func (most tooLong) Error() string {
	return fmt.Sprintf("the answer has more than %d MiB", int64(most))
}

// chatServer is the REST API of a chat server, as this command reaches it.
type chatServer struct {
	// base is the address of the API, without a slash at the end.
	base   string
	client *http.Client
	// authorization is the value of the header. It goes to the server and nowhere else.
	authorization string
	// credential says what it is, for errors.
	credential string
	// where is the server in errors.
	where string
	// pod is where the server runs, nil when it was given by its address; metrics and readiness the addresses of its metrics and of its readiness
	// probe, if they can be reached.
	pod                *corev1.Pod
	metrics, readiness string
	// certificate is what the server showed, once it was called with TLS.
	certificate atomic.Pointer[x509.Certificate]
	close       func()
}

// refusal is an answer of the server that is no success.
type refusal struct {
	status                       int
	Exception, Message, Resource string
	text                         string
}

func (r *refusal) Error() string { return r.text }

// request is one call of the API. Segments of the path are escaped by the caller, with path.
type request struct {
	method, path string
	query        url.Values
	body         any
	ifMatch      string
}

// path joins segments, each of which may be any name.
func path(segments ...string) string {
	escaped := make([]string, len(segments))
	for i, s := range segments {
		escaped[i] = url.PathEscape(s)
	}
	return "/" + strings.Join(escaped, "/")
}

// get asks for something as JSON.
func (s *chatServer) get(ctx context.Context, path string, query url.Values, into any) error {
	_, err := s.do(ctx, request{method: http.MethodGet, path: path, query: query}, into)
	return err
}

// do calls the API and reads the answer into a value that is not nil.
func (s *chatServer) do(ctx context.Context, r request, into any) (http.Header, error) {
	var body io.Reader
	if r.body != nil {
		encoded, err := json.Marshal(r.body)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(encoded)
	}
	address := s.base + r.path
	if len(r.query) > 0 {
		address += "?" + r.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, address, body)
	if err != nil {
		return nil, err
	}
	if s.authorization != "" {
		req.Header.Set("Authorization", s.authorization)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "kubectl-chat/"+version)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.ifMatch != "" {
		req.Header.Set("If-Match", r.ifMatch)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, s.unreachable(ctx, err)
	}
	defer resp.Body.Close()
	if resp.TLS != nil && len(resp.TLS.PeerCertificates) > 0 {
		s.certificate.Store(resp.TLS.PeerCertificates[0])
	}
	answer, err := readAnswer(resp.Body, maxAnswer)
	if err != nil {
		return nil, s.unreachable(ctx, err)
	}
	if resp.StatusCode/100 != 2 {
		return nil, s.refused(resp, answer)
	}
	switch into := into.(type) {
	case nil:
	case *[]byte:
		*into = answer
	default:
		if err := json.Unmarshal(answer, into); err != nil {
			return nil, fmt.Errorf("%s answers something that is no JSON of a chat server: check --rest-url (%w)", s.where, err)
		}
	}
	return resp.Header, nil
}

// unreachable words an error of the network.
func (s *chatServer) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var failed *url.Error
	if errors.As(err, &failed) {
		err = failed.Err // without the address, which is named already
	}
	var unknownAuthority x509.UnknownAuthorityError
	var wrongHost x509.HostnameError
	var long tooLong
	switch {
	case errors.As(err, &long):
		return fmt.Errorf("%s answers with more than %d MiB, which is more than this command reads: name users or rooms where it takes names, "+
			"or read the list in pages from the REST API (limit and offset)", s.where, int64(long))
	case errors.As(err, &wrongHost):
		return fmt.Errorf("the certificate of %s is for another name: give that with --rest-tls-server-name (%w)", s.where, err)
	case errors.As(err, &unknownAuthority):
		return fmt.Errorf("the certificate of %s is not trusted: give the one that signed it with --rest-ca-file (%w)", s.where, err)
	case s.pod != nil:
		return fmt.Errorf("%s does not answer: look at it with `kubectl describe pod %s --namespace %s` (%w)", s.where, s.pod.Name, s.pod.Namespace, err)
	}
	return fmt.Errorf("%s does not answer: check --rest-url, and that the server runs (%w)", s.where, err)
}

// refused words an answer that is no success.
func (s *chatServer) refused(resp *http.Response, answer []byte) error {
	r := &refusal{status: resp.StatusCode}
	_ = json.Unmarshal(answer, r) // what is no JSON comes from something that is no chat server
	detail := show(cmp.Or(r.Message, resp.Status))
	switch {
	case r.status == http.StatusUnauthorized && s.authorization == "":
		r.text = s.where + " wants to know who asks"
	case r.status == http.StatusUnauthorized:
		r.text = fmt.Sprintf("%s does not accept %s: %s", s.where, s.credential, adviceUnauthorized(s.credential))
	case r.status == http.StatusForbidden:
		r.text = fmt.Sprintf("%s refuses: %s", s.where, detail)
	case r.status == http.StatusTooManyRequests:
		r.text = fmt.Sprintf("%s has had too many failed calls: try again in %s s", s.where, show(resp.Header.Get("Retry-After")))
	case r.Exception == "" && r.status == http.StatusNotFound:
		r.text = fmt.Sprintf("%s has no REST API there: it may be switched off (property plugin.restapi.enabled), or --rest-url is wrong", s.where)
	default:
		r.text = fmt.Sprintf("%s says: %s", s.where, detail)
	}
	return r
}

// isRefusal says whether an error is the server's answer with that status.
func isRefusal(err error, status int) bool {
	var r *refusal
	return errors.As(err, &r) && r.status == status
}

// moment is a time as the API writes it in JSON: milliseconds since 1970.
type moment int64

func (m moment) time() time.Time {
	if m == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(m))
}
