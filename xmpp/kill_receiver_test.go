package xmpp

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

const killReceivers = 2 * int(receiverKinds)

// killReceiver counts what it gets.
type killReceiver struct {
	k    *killing
	name string
	kind receiverKind

	id string // of its session
	mu sync.Mutex
	h  uint32 // stanzas that it got in it
}

// answer says how many stanzas have arrived.
func (r *killReceiver) answer(c *wireClient) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return c.send(fmt.Sprintf("<a xmlns='urn:xmpp:sm:3' h='%d'/>", r.h))
}

// count counts stanzas; 0 begins anew.
func (r *killReceiver) count(n uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.h += n; n == 0 {
		r.h = 0
	}
}

func (r *killReceiver) live(p *process) {
	for {
		err := r.session(p)
		select {
		case <-p.over:
			return
		default:
		}
		if err != nil {
			r.k.t.Errorf("%s cannot come back: %v", r.name, err)
			return
		}
	}
}

// session goes on until the connection breaks; its error is that there was none.
func (r *killReceiver) session(p *process) error {
	c, err := dialWire(p.address, r.name)
	if err != nil {
		return err
	}
	defer c.close()
	id, resumed, _, err := c.begin(r.id, r.h, r.kind != plainKind)
	if err != nil {
		return err
	}
	r.k.mu.Lock()
	switch {
	case resumed:
		r.k.resumed++
	case r.id != "":
		r.k.failed++
	}
	r.k.mu.Unlock()
	if r.id = id; !resumed {
		r.count(0)
		if err := c.send("<presence/>"); err != nil {
			return nil
		}
	}
	for got := 0; ; {
		e, err := c.next()
		if err != nil {
			return nil
		}
		switch {
		case isStanza(e):
			r.count(1)
			if e.XMLName.Local != "message" {
				continue
			}
			r.k.mu.Lock()
			r.k.got[e.ID]++
			r.k.changed.Broadcast()
			r.k.mu.Unlock()
			got++
			if r.kind == brokenKind && rand.IntN(60) == 0 {
				return nil
			}
		case e.XMLName.Local == "error":
			r.k.t.Errorf("%s got a stream error: %s", r.name, e.Inner)
		case e.XMLName.Local == "r":
			if r.kind == lazyKind {
				defer time.AfterFunc(time.Duration(rand.IntN(400))*time.Millisecond, func() { _ = r.answer(c) }).Stop()
				continue
			}
			if r.answer(c) != nil {
				return nil
			}
		}
	}
}
