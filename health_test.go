package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestHeart: a part that does not come back is named after a while, and no earlier; one that is slow is not.
func TestHeart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		hung := make(chan struct{})
		var hangs atomic.Bool
		h := &heart{every: beatEvery, parts: []part{
			{"the quick part", func(context.Context) {}},
			{"the slow part", func(context.Context) {
				time.Sleep(beatWithin / 2)
				if hangs.Load() {
					<-hung
				}
			}},
		}}
		if err := h.hangs(); err != nil {
			t.Errorf("before it begins: %v", err)
		}
		ended := make(chan error, 1)
		go func() { ended <- h.Start(ctx) }()
		for range 20 {
			time.Sleep(beatWithin / 3)
			if err := h.hangs(); err != nil {
				t.Errorf("while everything answers: %v", err)
			}
		}
		hangs.Store(true)
		time.Sleep(2 * beatWithin)
		if err := h.hangs(); err == nil || err.Error()[:len("the slow part has not answered for ")] != "the slow part has not answered for " {
			t.Errorf("when a part hangs: %v", err)
		}
		hangs.Store(false)
		close(hung)
		time.Sleep(beatWithin / 4)
		if err := h.hangs(); err != nil {
			t.Errorf("when it answers again: %v", err)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// TestStarting: while it starts, however long that takes, the process is alive and lets nobody in.
func TestStarting(t *testing.T) {
	p := &prober{}
	for path, want := range map[string]int{"/healthz": http.StatusOK, "/readyz": http.StatusServiceUnavailable} {
		w := httptest.NewRecorder()
		p.handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != want {
			t.Errorf("%s: %d %q", path, w.Code, w.Body.String())
		}
	}
}

// TestProbe: what is asked for is answered in a word; why not, and what else there is to say, to those who ask.
func TestProbe(t *testing.T) {
	for _, c := range []struct {
		query   string
		err     error
		remarks []string
		status  int
		text    string
	}{
		{"", nil, []string{"a remark"}, 200, "ok"},
		{"?verbose", nil, nil, 200, "[+]chat ok\nreadyz check passed\n"},
		{"?verbose", nil, []string{"the schema is older"}, 200, "[+]chat ok\n[!]the schema is older\nreadyz check passed\n"},
		{"", errors.New("not yet"), []string{"a remark"}, 503, "[-]chat failed: not yet\n[!]a remark\nreadyz check failed\n"},
	} {
		w := httptest.NewRecorder()
		probe("readyz", "chat", func() error { return c.err }, func() []string { return c.remarks })(w, httptest.NewRequest(http.MethodGet, "/readyz"+c.query, nil))
		if w.Code != c.status || w.Body.String() != c.text {
			t.Errorf("%q, %v: %d %q", c.query, c.err, w.Code, w.Body.String())
		}
	}
}
