package core

// What a client sent counts as handled (XEP-0198 §4) when it is stored, where it has to be stored. A service that stores after it has returned says
// so by Accept, and by Settled when that is done: until then the client gets no acknowledgement, and a session that ends waits for it.

// AwaitRoom waits as long as too much of what the client sent has been accepted and is not stored yet. It is called on the client's goroutine,
// without any lock.
func (s *Session) AwaitRoom() {
	s.letters.mu.Lock()
	defer s.letters.mu.Unlock()
	s.letters.wait()
}

// Accept says that a stanza of the client is on its way into a store. It does not wait.
func (s *Session) Accept() {
	s.letters.mu.Lock()
	defer s.letters.mu.Unlock()
	s.letters.n++
}

// Settled says that a stanza that was accepted is stored, or that its sender was told why not.
func (s *Session) Settled() { s.letters.done() }
