package load

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/chat-operator/chat-operator/hack/bench/internal/client"
)

// Offline is what messages to those who are away cost (XEP-0160).
type Offline struct{ Store, GiveBack Cost }

// Offline sends each of n accounts, which are away, some messages, then logs these in and takes what was kept. Senders are accounts
// 0..n-1, the others the n after them.
func (t *Target) Offline(ctx context.Context, n, each int) (o Offline, err error) {
	if _, err := t.offline(ctx, 1, 1); err != nil {
		return o, err // a server without it says so at the first message
	}
	return t.offline(ctx, n, each)
}

func (t *Target) offline(ctx context.Context, n, count int) (o Offline, err error) {
	senders, _, err := t.Login(ctx, 0, n)
	if err != nil {
		return o, err
	}
	defer senders.Close()
	refused := make([]bool, n)
	var taken time.Duration
	o.Store, err = t.measure(n*count, func() error {
		begin := time.Now()
		err := each(n, n, func(i int) error {
			text := fmt.Appendf(nil, "<message to='%s@%s' type='chat' id='offline'>%s", Username(n+i), t.Client.Domain, textTail)
			if err := senders[i].SetDeadline(time.Now().Add(time.Minute)); err != nil {
				return err
			}
			for range count {
				if err := senders[i].Write(text); err != nil {
					return err
				}
			}
			return senders[i].Ping(t.Client.Domain, func(e client.Element) {
				refused[i] = refused[i] || string(e.Attr("type")) == "error"
			})
		})
		taken = time.Since(begin)
		// A server may have taken them before they are on the disk: what that costs counts as well.
		return errors.Join(err, sleep(ctx, time.Second))
	})
	o.Store.Wall = taken
	if err != nil {
		return o, err
	}
	receivers := make(Sessions, n)
	defer func() { receivers.Close() }()
	err = each(n, parallel, func(i int) (err error) {
		receivers[i], err = client.Bind(ctx, t.Client, Username(n+i), t.Password, Resource)
		return err
	})
	if err != nil {
		return o, err
	}
	given := make([]int, n)
	o.GiveBack, err = t.measure(n*count, func() error {
		return each(n, n, func(i int) error {
			got := func(e client.Element) {
				if string(e.Attr("id")) == "offline" {
					given[i]++
				}
			}
			if err := receivers[i].Appear(got); err != nil {
				return err
			}
			// Whether messages come before the session's own presence is for the server to choose.
			if err := receivers[i].SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
				return err
			}
			for given[i] < count {
				e, err := receivers[i].Next()
				if err != nil {
					return nil //nolint:nilerr // what is missing is said below
				}
				if e.Is("message") {
					got(e)
					if err := receivers[i].SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
						return err
					}
				}
			}
			return nil
		})
	})
	if err != nil {
		return o, err
	}
	for i, got := range given {
		switch {
		case got == 0 && count == 1 || refused[i]:
			return o, fmt.Errorf("messages to %s, who is away: %w", Username(n+i), errUnsupported)
		case got != count:
			return o, errors.Join(err, fmt.Errorf("%s was given %d of %d messages", Username(n+i), got, count))
		}
	}
	return o, nil
}
