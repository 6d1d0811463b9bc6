package load

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/chat-operator/chat-operator/hack/bench/internal/stats"
)

// REST is how the operator's REST API and the API server beneath it are reached.
type REST struct {
	// URL is the base of the API; Secret its shared secret.
	URL, Secret string
	API         *http.Client
	// Kube reaches the API server at KubeURL.
	Kube    *http.Client
	KubeURL string
	// Namespace is the operator's. Bare is another one, which nobody watches.
	Namespace, Bare string
	// Verifiers is the content of an account's Secret, OtherVerifiers the same of another password.
	Verifiers, OtherVerifiers map[string]string
}

// AccountTimes are the times of creations, sorted, in milliseconds: by REST, and of the two objects alone.
type AccountTimes struct{ REST, Bare []float64 }

// Ratio is that of the times that q of all stay below.
func (a AccountTimes) Ratio(q float64) float64 {
	return stats.Quantile(a.REST, q) / stats.Quantile(a.Bare, q)
}

// call makes one request, and fails unless it has the status.
func call(ctx context.Context, c *http.Client, method, url string, head http.Header, body []byte, want ...int) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for name, values := range head {
		req.Header[name] = values
	}
	resp, err := c.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(want, resp.StatusCode) {
		return nil, fmt.Errorf("%s %s: %s: %.300s", method, url, resp.Status, text)
	}
	return text, nil
}

func (r *REST) rest(ctx context.Context, method, path string, body []byte, want int) ([]byte, error) {
	return call(ctx, r.API, method, r.URL+path, http.Header{
		"Authorization": {r.Secret}, "Content-Type": {"application/json"}, "Accept": {"application/json"},
	}, body, want)
}

func (r *REST) kube(ctx context.Context, method, path string, object any, want ...int) ([]byte, error) {
	var body []byte
	if object != nil {
		var err error
		if body, err = json.Marshal(object); err != nil {
			return nil, err
		}
	}
	return call(ctx, r.Kube, method, r.KubeURL+path, http.Header{"Content-Type": {"application/json"}}, body, want...)
}

const (
	coreV1 = "/api/v1/namespaces/"
	chatV1 = "/apis/chat-operator.io/v1alpha1/namespaces/"
)

// mark is on everything that is made here.
var mark = map[string]any{"bench": "rest"} //nolint:gochecknoglobals // a constant

// verifiers has the shape of what the operator writes; nobody logs in with it.
var verifiers = map[string]any{ //nolint:gochecknoglobals // a constant
	"scram-sha-1":   "SCRAM-SHA-1$10000:MDEyMzQ1Njc4OWFiY2RlZg==$MDEyMzQ1Njc4OWFiY2RlZjAxMjM=:MDEyMzQ1Njc4OWFiY2RlZjAxMjM=",
	"scram-sha-256": "SCRAM-SHA-256$10000:MDEyMzQ1Njc4OWFiY2RlZg==$MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
}

func (r *REST) objects(ctx context.Context, namespace, name string) error {
	_, err := r.kube(ctx, http.MethodPost, coreV1+namespace+"/secrets", map[string]any{
		"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": map[string]any{"name": name, "labels": mark}, "stringData": verifiers,
	}, http.StatusCreated)
	if err != nil {
		return err
	}
	return r.user(ctx, namespace, name, name)
}

func (r *REST) user(ctx context.Context, namespace, name, secret string) error {
	_, err := r.kube(ctx, http.MethodPost, chatV1+namespace+"/chatusers", map[string]any{
		"apiVersion": "chat-operator.io/v1alpha1", "kind": "ChatUser", "metadata": map[string]any{"name": name, "labels": mark},
		"spec": map[string]any{"username": name, "displayName": "A User", "credentials": map[string]any{"secretRef": map[string]any{"name": secret}}},
	}, http.StatusCreated)
	return err
}

// Begin makes the namespace that nobody watches.
func (r *REST) Begin(ctx context.Context) error {
	_, err := r.kube(ctx, http.MethodPost, "/api/v1/namespaces", map[string]any{
		"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": r.Bare},
	}, http.StatusCreated, http.StatusConflict)
	return err
}

// Create makes n accounts by POST /users, some at a time, and the objects of as many in turn with them, in the other namespace.
func (r *REST) Create(ctx context.Context, prefix string, n, atOnce int) (AccountTimes, error) {
	var times AccountTimes
	var mu sync.Mutex
	timed := func(to *[]float64, do func() error) error {
		begin := time.Now()
		if err := do(); err != nil {
			return err
		}
		took := time.Since(begin)
		mu.Lock()
		defer mu.Unlock()
		*to = append(*to, float64(took)/float64(time.Millisecond))
		return nil
	}
	// All of one kind are under way together: those of both at once would wait for each other.
	const part = 50
	for from := 0; from < n; from += part {
		err := each(min(part, n-from), atOnce, func(i int) error {
			name := fmt.Sprintf("%s-%05d", prefix, from+i)
			return timed(&times.REST, func() error {
				_, err := r.rest(ctx, http.MethodPost, "/users", fmt.Appendf(nil, `{"username":%q,"password":"pencil","name":"A User"}`, name), http.StatusCreated)
				return err
			})
		})
		err = errors.Join(err, each(min(part, n-from), atOnce, func(i int) error {
			name := fmt.Sprintf("%s-%05d", prefix, from+i)
			return timed(&times.Bare, func() error { return r.objects(ctx, r.Bare, name) })
		}))
		if err != nil {
			return times, err
		}
	}
	slices.Sort(times.REST)
	slices.Sort(times.Bare)
	return times, nil
}

// Get says what GET of one account costs, n times, one after the other.
func (t *Target) Get(ctx context.Context, r *REST, name string, n int) (Cost, error) {
	return t.measure(n, func() error {
		for range n {
			if _, err := r.rest(ctx, http.MethodGet, "/users/"+name, nil, http.StatusOK); err != nil {
				return err
			}
		}
		return nil
	})
}

// Apply makes n ChatUsers in the operator's namespace, as kubectl apply of many manifests does, some at a time. They share one Secret.
func (r *REST) Apply(ctx context.Context, prefix string, n, atOnce int) error {
	_, err := r.kube(ctx, http.MethodPost, coreV1+r.Namespace+"/secrets", map[string]any{
		"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": map[string]any{"name": prefix, "labels": mark}, "stringData": verifiers,
	}, http.StatusCreated)
	if err != nil {
		return err
	}
	return each(n, atOnce, func(i int) error { return r.user(ctx, r.Namespace, fmt.Sprintf("%s-%05d", prefix, i), prefix) })
}

// List times GET /users, and says how many there are.
func (r *REST) List(ctx context.Context) (took time.Duration, users int, err error) {
	begin := time.Now()
	text, err := r.rest(ctx, http.MethodGet, "/users", nil, http.StatusOK)
	took = time.Since(begin)
	if err != nil {
		return 0, 0, err
	}
	var list struct {
		Users []json.RawMessage `json:"users"`
	}
	err = json.Unmarshal(text, &list)
	return took, len(list.Users), err
}

// maxDeletes is how often a deletion of many is asked for.
const maxDeletes = 10

// End deletes what was made: accounts by REST are those with the prefix.
func (r *REST) End(ctx context.Context) error {
	var failed error
	for _, path := range []string{
		chatV1 + r.Namespace + "/chatusers?labelSelector=bench%3Drest", chatV1 + r.Namespace + "/chatusers?labelSelector=app.kubernetes.io%2Fmanaged-by%3Dchat-operator",
		coreV1 + r.Namespace + "/secrets?labelSelector=bench%3Drest", coreV1 + r.Namespace + "/secrets?fieldSelector=type%3Dchat-operator.io%2Fscram-verifiers",
		chatV1 + r.Bare + "/chatusers", coreV1 + r.Bare + "/secrets",
	} {
		// The API server deletes one after the other, and gives up after a minute: what is left is asked for again.
		var err error
		for range maxDeletes {
			if _, err = r.kube(ctx, http.MethodDelete, path, nil, http.StatusOK); err == nil || ctx.Err() != nil {
				break
			}
		}
		failed = errors.Join(failed, err)
	}
	return failed
}
