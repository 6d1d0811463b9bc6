package xmlstream

// Limits bound what one element of a stream may cost. They are checked as bytes arrive. A field that is zero or negative
// stands for its value in DefaultLimits.
type Limits struct {
	MaxBytes      int // size of one stanza or of the stream header, from its first to its last byte
	MaxDepth      int // levels of elements, the stanza itself being the first
	MaxAttributes int // attributes of one element, namespace declarations included
	MaxElements   int // elements in one stanza
	MaxNamespaces int // namespace declarations in scope at once, those of the stream header not counted
}

// PreAuthLimits are for streams that nobody has logged in on. RFC 6120 §13.12 demands at least 10,000 bytes.
func PreAuthLimits() Limits {
	return Limits{MaxBytes: 16 << 10, MaxDepth: 32, MaxAttributes: 32, MaxElements: 4096, MaxNamespaces: 32}
}

// DefaultLimits are for streams of authenticated users.
func DefaultLimits() Limits {
	return Limits{MaxBytes: 256 << 10, MaxDepth: 32, MaxAttributes: 32, MaxElements: 4096, MaxNamespaces: 32}
}

// mostBytes keeps offsets within 32 bits.
const mostBytes = 1 << 30

func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	set := func(v *int, def int) {
		if *v <= 0 {
			*v = def
		}
	}
	set(&l.MaxBytes, d.MaxBytes)
	set(&l.MaxDepth, d.MaxDepth)
	set(&l.MaxAttributes, d.MaxAttributes)
	set(&l.MaxElements, d.MaxElements)
	set(&l.MaxNamespaces, d.MaxNamespaces)
	l.MaxBytes = min(l.MaxBytes, mostBytes)
	l.MaxDepth = min(l.MaxDepth, 1<<14)
	l.MaxAttributes = min(l.MaxAttributes, 1<<14)
	return l
}
