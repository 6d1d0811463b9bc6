package testenv

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// Request is one request that the API server answered, as its own audit log has it.
type Request struct {
	Time      time.Time
	Verb      string // get, list, watch, create, update, patch, delete, deletecollection
	User      string
	UserAgent string
	URI       string

	Group, Resource, Subresource, Namespace, Name string

	Code int // HTTP status
}

// IsWrite says whether the request asked for a change, and got it.
func (r Request) IsWrite() bool {
	switch r.Verb {
	case "create", "update", "patch", "delete", "deletecollection":
		return r.Code < 300
	}
	return false
}

func (r Request) String() string {
	resource := r.Resource
	if r.Subresource != "" {
		resource += "/" + r.Subresource
	}
	return fmt.Sprintf("%s %s %s/%s by %s (%d)", r.Verb, resource, r.Namespace, r.Name, r.User, r.Code)
}

// Requests are all requests answered so far, in the order of their answers. The environment must have been started with
// AuditLog. A request is in it once its client has the answer.
func (e *Environment) Requests() ([]Request, error) {
	return e.audit.read()
}

// Writes are the successful writes of a user so far, or of everybody if the name is empty.
func (e *Environment) Writes(user string) ([]Request, error) {
	all, err := e.audit.read()
	if err != nil {
		return nil, err
	}
	var writes []Request
	for _, r := range all {
		if r.IsWrite() && (user == "" || r.User == user) {
			writes = append(writes, r)
		}
	}
	return writes, nil
}

// auditPolicy records who did what, once per request, without bodies.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
  - level: Metadata
`

// auditLog reads the API server's log as it grows.
type auditLog struct {
	path string

	mu       sync.Mutex
	offset   int64
	requests []Request
}

func (a *auditLog) configure(dir string, args *envtest.Arguments) error {
	policy := filepath.Join(dir, "audit-policy.yaml")
	if err := os.WriteFile(policy, []byte(auditPolicy), 0o600); err != nil {
		return err
	}
	a.path = filepath.Join(dir, "audit.log")
	args.Set("audit-policy-file", policy)
	args.Set("audit-log-path", a.path)
	// A request is logged before it is answered, and nothing is rotated away.
	args.Set("audit-log-mode", "blocking")
	args.Set("audit-log-maxsize", "4096")
	return nil
}

func (a *auditLog) read() ([]Request, error) {
	if a.path == "" {
		return nil, errors.New("the environment was started without Options.AuditLog")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	file, err := os.Open(a.path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	if _, err := file.Seek(a.offset, io.SeekStart); err != nil {
		return nil, err
	}
	grown, err := io.ReadAll(file)
	if err != nil {
		return nil, err
	}
	for {
		line, rest, whole := bytes.Cut(grown, []byte("\n"))
		if !whole {
			break
		}
		request, err := parseAuditEvent(line)
		if err != nil {
			return nil, fmt.Errorf("audit log, byte %d: %w", a.offset, err)
		}
		a.requests = append(a.requests, request)
		a.offset += int64(len(line)) + 1
		grown = rest
	}
	return append([]Request(nil), a.requests...), nil
}

func parseAuditEvent(line []byte) (Request, error) {
	var event struct {
		Verb       string `json:"verb"`
		RequestURI string `json:"requestURI"`
		UserAgent  string `json:"userAgent"`
		User       struct {
			Username string `json:"username"`
		} `json:"user"`
		ObjectRef struct {
			APIGroup    string `json:"apiGroup"`
			Resource    string `json:"resource"`
			Subresource string `json:"subresource"`
			Namespace   string `json:"namespace"`
			Name        string `json:"name"`
		} `json:"objectRef"`
		ResponseStatus struct {
			Code int `json:"code"`
		} `json:"responseStatus"`
		StageTimestamp time.Time `json:"stageTimestamp"`
	}
	if err := json.Unmarshal(line, &event); err != nil {
		return Request{}, err
	}
	o := event.ObjectRef
	return Request{
		Time: event.StageTimestamp, Verb: event.Verb, User: event.User.Username, UserAgent: event.UserAgent, URI: event.RequestURI,
		Group: o.APIGroup, Resource: o.Resource, Subresource: o.Subresource, Namespace: o.Namespace, Name: o.Name,
		Code: event.ResponseStatus.Code,
	}, nil
}
