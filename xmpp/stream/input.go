package stream

import (
	"crypto/tls"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// How a session waits. Reading through TLS takes a deep stack and buffers, and most sessions read nothing for most of the time. So the transport never
// makes a session's goroutine wait down there for the next element: where nothing is there to be read, it says so, the calls return, and the
// goroutine waits for the socket at the top of its stack, with no buffer at all (Conn.await). What arrives is read into a buffer from a pool, all that is
// there at once, and taken from it by TLS record by record. A stack that has become deep meanwhile is left to the runtime when nothing has
// arrived for a moment: a fresh goroutine goes on (Conn.serve).

const (
	// inputSize takes a whole TLS record, or many small ones.
	inputSize = 18<<10 - 16
	// settleTime is how long a goroutine with a deep stack waits before a fresh one takes over.
	settleTime = time.Second
)

// input is what was read from the socket and not yet taken by TLS, while there is such.
type input struct {
	from, to int
	b        [inputSize]byte
}

// errNothing says that nothing is there to be read at the moment. TLS takes it for an error that passes, as it does deadlines, and can go on afterwards.
var errNothing error = nothing{}

type nothing struct{}

func (nothing) Error() string   { return "nothing is there to be read" }
func (nothing) Timeout() bool   { return true }
func (nothing) Temporary() bool { return true }

// transport is the TCP connection under the TLS one. It remembers the certificate that was presented on it, which crypto/tls does not tell.
type transport struct {
	net.Conn
	cert *tls.Certificate
	// metered is the connection once it has a session: then it may be told to read more slowly.
	metered *Conn

	// How a session reads. raw is nil before there is one, and where the connection is no socket: then reading waits.
	raw syscall.RawConn
	try func(fd uintptr) bool // attempt
	err error                 // of the last attempt
	in  *input                // nil when nothing is left of what was read
}

// shallow has reading between elements not wait any more.
func (t *transport) shallow() {
	socket, ok := t.Conn.(syscall.Conn)
	if !ok {
		return
	}
	if raw, err := socket.SyscallConn(); err == nil {
		t.raw, t.try = raw, t.attempt
	}
}

// waiting undoes shallow.
func (t *transport) waiting() { t.raw = nil }

func (t *transport) Read(b []byte) (int, error) {
	if t.in == nil {
		switch {
		case t.raw == nil:
			n, err := t.Conn.Read(b)
			if t.metered != nil && n > 0 {
				t.metered.arrived(n)
			}
			return n, err
		case t.metered.in.Waits():
			return 0, errNothing
		}
		if err := t.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(b, t.in.b[t.in.from:t.in.to])
	if t.in.from += n; t.in.from == t.in.to {
		t.metered.ln.inputs.Put(t.in)
		t.in = nil
	}
	return n, nil
}

// fill waits until something arrives, and reads it. Nothing is left of what was read before.
func (t *transport) fill() error {
	t.err = nil
	if err := t.raw.Read(t.try); err != nil {
		return err
	}
	if t.err != nil {
		return t.err
	}
	t.metered.arrived(t.in.to)
	return nil
}

// attempt reads what is there. It is false when that is nothing: it is called again when there is something.
func (t *transport) attempt(fd uintptr) bool {
	pool := &t.metered.ln.inputs
	in := pool.Get().(*input)
	n, err := syscall.Read(int(fd), in.b[:])
	for err == syscall.EINTR {
		n, err = syscall.Read(int(fd), in.b[:])
	}
	if n > 0 {
		in.from, in.to = 0, n
		t.in = in
		return true
	}
	pool.Put(in)
	switch err {
	case syscall.EAGAIN:
		return false
	case nil:
		t.err = io.EOF
	default:
		t.err = os.NewSyscallError("read", err)
	}
	return true
}

// closeWrite tells the client that nothing more will come.
func (t *transport) closeWrite() {
	if half, ok := t.Conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}

// The deadlines of a connection. Setting one fails only where the connection is closed already, and then reads and writes fail as well.

func (t *transport) by(at time.Time)      { _ = t.SetDeadline(at) }
func (t *transport) readBy(at time.Time)  { _ = t.SetReadDeadline(at) }
func (t *transport) writeBy(at time.Time) { _ = t.SetWriteDeadline(at) }
