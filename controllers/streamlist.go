package controllers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"

	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/chat-operator/chat-operator/api/v1alpha1"
)

// streamedList lists the resources of a kind while the API server is still writing them: what has arrived is decoded at once. A usual client waits for
// the whole text first, and holds it in memory; while a start with thousands of resources lasts, nobody can log in.
type streamedList struct {
	client     rest.Interface
	parameters runtime.ParameterCodec
	empty      runtime.Object // a resource of the kind
	namespace  string
	resource   string
	keep       func(obj any) (any, error) // reduces a resource to what the cache keeps
}

// streamedLists has the streamedList of each kind of chat resource in a namespace.
type streamedLists map[reflect.Type]*streamedList

func newStreamedLists(config *rest.Config, c *http.Client, scheme *runtime.Scheme, namespace string, keep func(any) (any, error)) (streamedLists, error) {
	mapper, codecs, parameters := newMapper(), serializer.NewCodecFactory(scheme), runtime.NewParameterCodec(scheme)
	lists := streamedLists{}
	for _, example := range []runtime.Object{&v1alpha1.ChatUser{}, &v1alpha1.ChatGroup{}, &v1alpha1.ChatRoom{}, &v1alpha1.SystemProperty{}} {
		kind, err := apiutil.GVKForObject(example, scheme)
		if err != nil {
			return nil, err
		}
		mapping, err := mapper.RESTMapping(kind.GroupKind(), kind.Version)
		if err != nil {
			return nil, err
		}
		client, err := apiutil.RESTClientForGVK(kind, true, false, config, codecs, c)
		if err != nil {
			return nil, err
		}
		lists[reflect.TypeOf(example)] = &streamedList{client, parameters, example, namespace, mapping.Resource.Resource, keep}
	}
	return lists, nil
}

// list does what a typed client's List does. An answer that breaks off is an io.ErrUnexpectedEOF.
func (s *streamedList) list(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
	body, err := s.client.Get().Namespace(s.namespace).Resource(s.resource).VersionedParams(&o, s.parameters).Stream(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }() // it has been read to its end, or is of no use
	answer := &breakable{Reader: body}
	list, err := s.read(answer)
	switch {
	case answer.broken != nil:
		err = fmt.Errorf("%w: %w", io.ErrUnexpectedEOF, answer.broken)
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, fmt.Errorf("the list of %s in namespace %s cannot be read: %w", s.resource, s.namespace, err)
	}
	return list, nil
}

// breakable remembers why a reader ended before its end.
type breakable struct {
	io.Reader
	broken error
}

func (b *breakable) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err != nil && err != io.EOF {
		b.broken = err
	}
	return n, err
}

func (s *streamedList) read(answer io.Reader) (*metainternalversion.List, error) {
	d, list := json.NewDecoder(answer), &metainternalversion.List{}
	items := false
	err := eachOf(d, '{', func() error {
		key, err := d.Token()
		if err != nil {
			return err
		}
		switch key {
		case "metadata":
			return d.Decode(&list.ListMeta)
		case "items":
			items = true
			return s.items(d, list)
		}
		var other json.RawMessage
		return d.Decode(&other)
	})
	if err == nil && !items {
		err = errors.New("it has no items")
	}
	return list, err
}

func (s *streamedList) items(d *json.Decoder, list *metainternalversion.List) error {
	return eachOf(d, '[', func() error {
		item := s.empty.DeepCopyObject()
		if err := d.Decode(item); err != nil {
			return err
		}
		list.Items = append(list.Items, item)
		_, err := s.keep(item) // while the next ones are still to come
		return err
	})
}

// eachOf reads an object or array that begins here, element by element.
func eachOf(d *json.Decoder, opening json.Delim, element func() error) error {
	token, err := d.Token()
	if err != nil {
		return err
	}
	switch token {
	case nil: // null, an empty one
		return nil
	case opening:
	default:
		return fmt.Errorf("%v was expected, but there is %v", opening, token)
	}
	for d.More() {
		if err := element(); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}
