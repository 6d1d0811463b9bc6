package xmlstream

// ContentSpace is the default namespace that the stream header declared: the content namespace of RFC 6120 §4.8.2. It is empty
// when the header declared none, and valid until the next Reset.
func (r *Reader) ContentSpace() []byte {
	d := &r.p.doc
	for _, b := range r.p.bindings[:r.p.headBindings] {
		if b.prefix.len == 0 {
			return d.bytes(d.spaces[b.space])
		}
	}
	return nil
}
