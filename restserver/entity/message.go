package entity

// Message reads the text of a message: root "message".
func (b *Body) Message() (string, error) {
	d := b.decoder()
	o := d.root("message")
	body := value(o.text("body"))
	o.done()
	return body, b.finish(d)
}
