package entity

// The legacy user service answers with one line of XML without a prolog, whatever a request accepts. Programs look for these very bytes.

// UserServiceOK is its answer to a change.
func UserServiceOK() []byte {
	return userServiceLine("result", func(w *xmlWriter) { w.buf = append(w.buf, "ok"...) })
}

// UserServiceGroups is its answer to a question for groups.
func UserServiceGroups(names []string) []byte {
	return userServiceLine("result", func(w *xmlWriter) {
		for _, name := range names {
			w.start("groupname")
			w.finishTag()
			w.escape(name, true)
			w.end("groupname")
		}
	})
}

// UserServiceError is its answer to what it refuses: the name of an exception, or a sentence.
func UserServiceError(text string) []byte {
	return userServiceLine("error", func(w *xmlWriter) { w.escape(text, true) })
}

// Escaped as in an attribute, a line end in a name doesn't end the line.
func userServiceLine(root string, content func(*xmlWriter)) []byte {
	w := xmlWriter{}
	w.start(root)
	w.finishTag()
	content(&w)
	w.end(root)
	return append(w.buf, '\n')
}
