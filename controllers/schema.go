package controllers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
)

const (
	// schemaSettles is for how long the API server has to give the same answer before anything is said to be missing: it publishes custom resource
	// definitions a moment after they were applied, and after its own start.
	schemaSettles = 10 * time.Second
	// schemaRetry is the pause after the first attempt that found nothing out; each further one waits twice as long as the one before it.
	schemaRetry = time.Second
	// schemaAgain is the longest pause, and that after an attempt that found everything there: definitions may be replaced by older ones at any
	// time. schemaOlder is that after one which found something missing.
	schemaAgain, schemaOlder = 5 * time.Minute, time.Minute
	// schemaSilence is how long the schema may be unreadable before that is said.
	schemaSilence = 5 * time.Minute
	// schemaTimeout bounds one attempt.
	schemaTimeout = 10 * time.Second
	// schemaNames bounds what a message lists.
	schemaNames = 10
)

// Schema compares what the cluster's custom resource definitions say with what this program knows. Fields that they lack are dropped by the API
// server without a word, so that a manifest seems to be applied and is not. It goes by discovery, which every authenticated user may ask.
type Schema struct {
	fetch func(ctx context.Context) ([]byte, error)
	log   logr.Logger

	mu      sync.Mutex
	missing []string
	// silent says that the schema cannot be read, and why.
	silent string
}

// NewSchema makes a Schema of a cluster.
func NewSchema(config *rest.Config, log logr.Logger) (*Schema, error) {
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, err
	}
	path := "/openapi/v3/apis/" + v1alpha1.GroupVersion.String()
	return &Schema{log: log, fetch: func(ctx context.Context) ([]byte, error) {
		return client.RESTClient().Get().AbsPath(path).SetHeader("Accept", "application/json").Do(ctx).Raw()
	}}, nil
}

// Run compares again and again until ctx ends. It is not for the manager to start: that does so only when all kinds have been read, which never happens
// where one is missing.
func (s *Schema) Run(ctx context.Context) {
	var (
		failing, since time.Time // from when on it could not be read, and something has been missing
		told           string
		pause          time.Duration
	)
	for {
		missing, err := s.compare(ctx)
		if ctx.Err() != nil {
			return
		}
		pause = min(max(2*pause, schemaRetry), schemaAgain)
		switch {
		case err != nil:
			if failing.IsZero() {
				failing, pause = time.Now(), schemaRetry
			}
			if time.Since(failing) >= schemaSilence && s.cannotRead(err) {
				s.log.Error(err, "The schema of the cluster cannot be read: whether its custom resource definitions are as new as this program is not known")
			}
			s.log.V(1).Info("The schema of the cluster cannot be read yet", "reason", err.Error())
		case len(missing) == 0:
			failing, since, pause = time.Time{}, time.Time{}, schemaAgain
			s.found(nil)
			if told != "" {
				s.log.Info("The custom resource definitions of the cluster are as new as this program now")
			}
			told = ""
		default:
			if failing = (time.Time{}); since.IsZero() {
				since, pause = time.Now(), schemaRetry
			}
			if time.Since(since) < schemaSettles {
				break
			}
			pause = schemaOlder
			s.found(missing)
			if text := olderSchema(missing); text != told {
				told = text
				s.log.Error(errors.New(text), "The custom resource definitions of the cluster are older than this program", "missing", missing)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// found remembers what is missing.
func (s *Schema) found(missing []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.missing, s.silent = missing, ""
}

// cannotRead remembers why nothing can be found out. It says whether that is news.
func (s *Schema) cannotRead(err error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	news := s.silent == ""
	s.silent = "the schema of the cluster cannot be read, and fields that its custom resource definitions lack would be dropped from manifests: " + err.Error()
	return news
}

// Missing lists the kinds and fields that the cluster's definitions lack, as ChatUser or ChatRoom.spec.archived.
func (s *Schema) Missing() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.missing
}

// Remarks say in sentences what is missing and what to do about it, or that nobody knows.
func (s *Schema) Remarks() (list []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.missing) > 0 {
		list = append(list, olderSchema(s.missing))
	}
	if s.silent != "" {
		list = append(list, s.silent)
	}
	return list
}

func olderSchema(missing []string) string {
	names := missing
	more := ""
	if len(names) > schemaNames {
		more = fmt.Sprintf(" and %d more", len(names)-schemaNames)
		names = names[:schemaNames]
	}
	return "the API server does not know, and drops from manifests: " + strings.Join(names, ", ") + more +
		"; upgrade the custom resource definitions to those of this version"
}

// compare asks for the schema and lists what it lacks.
func (s *Schema) compare(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, schemaTimeout)
	defer cancel()
	b, err := s.fetch(ctx)
	if apierrors.IsNotFound(err) {
		b, err = []byte(`{}`), nil // nothing of the group is there
	}
	if err != nil {
		return nil, err
	}
	var document struct {
		Components struct {
			Schemas map[string]*propertySchema `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(b, &document); err != nil {
		return nil, fmt.Errorf("the API server's answer cannot be read: %w", err)
	}
	kinds := map[string]*propertySchema{}
	for _, schema := range document.Components.Schemas {
		for _, gvk := range schema.Kinds {
			if gvk.Group == v1alpha1.GroupVersion.Group && gvk.Version == v1alpha1.GroupVersion.Version {
				kinds[gvk.Kind] = schema
			}
		}
	}
	var missing []string
	for _, known := range []any{v1alpha1.ChatUser{}, v1alpha1.ChatGroup{}, v1alpha1.ChatRoom{}, v1alpha1.SystemProperty{}} {
		t := reflect.TypeOf(known)
		schema := kinds[t.Name()]
		if schema == nil {
			missing = append(missing, t.Name())
			continue
		}
		missing = schema.lacks(t.Name(), t, missing)
	}
	slices.Sort(missing)
	return missing, nil
}

// propertySchema is what matters here of a schema in OpenAPI 3.
type propertySchema struct {
	Properties map[string]*propertySchema `json:"properties"`
	Items      *propertySchema            `json:"items"`
	Additional json.RawMessage            `json:"additionalProperties"`
	Kinds      []struct {
		Group   string `json:"group"`
		Version string `json:"version"`
		Kind    string `json:"kind"`
	} `json:"x-kubernetes-group-version-kind"`
}

// lacks adds the fields of a type that a schema does not have. Types of others than this API are leaves.
func (s *propertySchema) lacks(path string, t reflect.Type, missing []string) []string {
	if s == nil {
		return missing
	}
	switch t.Kind() {
	case reflect.Pointer:
		return s.lacks(path, t.Elem(), missing)
	case reflect.Slice, reflect.Array:
		return s.Items.lacks(path, t.Elem(), missing)
	case reflect.Map:
		var values *propertySchema
		if json.Unmarshal(s.Additional, &values) != nil { // absent, or only a switch
			return missing
		}
		return values.lacks(path, t.Elem(), missing)
	case reflect.Struct:
		if t.PkgPath() != reflect.TypeFor[v1alpha1.ChatUser]().PkgPath() {
			return missing
		}
	default:
		return missing
	}
	for f := range fieldsOf(t) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && (name == "" || strings.Contains(options, "inline")):
			missing = s.lacks(path, f.Type, missing)
		case name == "" || name == "-":
		case s.Properties[name] == nil:
			missing = append(missing, path+"."+name)
		default:
			missing = s.Properties[name].lacks(path+"."+name, f.Type, missing)
		}
	}
	return missing
}

func fieldsOf(t reflect.Type) func(yield func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range t.NumField() {
			if !yield(t.Field(i)) {
				return
			}
		}
	}
}
