package store_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chat-operator/chat-operator/xmpp/archive"
	"github.com/chat-operator/chat-operator/xmpp/muc"
)

// BenchmarkArchivePage reads pages of 50 out of a million messages, from everywhere in the archive: of all, of one of a hundred people in it, and of
// one who said little.
func BenchmarkArchivePage(b *testing.B) {
	const messages, people = 1_000_000, 100
	s := openAt(b, filepath.Join(b.TempDir(), "chat.db"))
	r, err := s.OpenRoom(b.Context(), lounge, "1")
	must(b, err)
	text := []byte("<message from='lounge@conference.chat.example/somebody' type='groupchat'><body>" + strings.Repeat("x", 300) + "</body></message>")
	begun := time.Now()
	var list []muc.Write
	for i := range int64(messages) {
		peer := fmt.Sprint("person ", i%people)
		if i%10_000 == 0 {
			peer = "quiet"
		}
		list = append(list, muc.Write{Message: &archive.Message{ID: i + 1, Time: archived, Peer: peer, Account: peer + "@chat.example", Recent: true, XML: text}})
		if len(list) == 1000 {
			must(b, s.WriteRoom(b.Context(), r.Owner, list))
			list = list[:0]
		}
	}
	b.Logf("stored %.0f messages a second", messages/time.Since(begun).Seconds())
	person, quiet := "person 7", "quiet"
	for name, q := range map[string]archive.Query{"all": {}, "person": {Peer: &person}, "quiet": {Peer: &quiet}} {
		b.Run(name, func(b *testing.B) {
			q.Owner, q.Most, q.MostBytes = r.Owner, 50, 1<<20
			var took []time.Duration
			at := int64(0)
			for b.Loop() {
				at = (at + 618_033) % messages
				q.After = at
				begun := time.Now()
				_, err := s.Messages(b.Context(), q)
				must(b, err)
				took = append(took, time.Since(begun))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
		})
	}
}
