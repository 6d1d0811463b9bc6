package core

import (
	"runtime"
	"testing"
	"time"
)

func TestIDsFollowTime(t *testing.T) {
	now := time.Date(2031, 4, 5, 6, 7, 8, 9000, time.UTC)
	h := newBoard(t)
	h.now = func() time.Time { return now }
	first := h.NewIDNumber()
	if read, ok := ParseID(AppendID(nil, first)); !ok || read != first {
		t.Errorf("%d is read as %d, %v", first, read, ok)
	}
	if FirstID(now) > first || FirstID(now.Add(time.Microsecond)) <= first {
		t.Errorf("the id %d is not between those of its microsecond", first)
	}
	if !IDTime(first).Equal(now) {
		t.Errorf("the id counts %v", IDTime(first))
	}
	if FirstID(time.Unix(0, 0)) != 0 || FirstID(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)) <= first {
		t.Error("moments far away are out of order")
	}
	// A clock that was set back makes no id that comes before what is there.
	later := FirstID(now.Add(time.Hour)) + 7
	h.IDsAfter(later)
	if id := h.NewIDNumber(); id <= later {
		t.Errorf("%d comes after %d", id, later)
	}
	h.IDsAfter(first)
	if id := h.NewIDNumber(); id <= later {
		t.Errorf("%d comes after %d", id, later)
	}
	for _, bad := range []string{"", "0000000000000", "8000000000000", "000000000000z", "12345678901234", "0000000000 01"} {
		if _, ok := ParseID([]byte(bad)); ok {
			t.Errorf("%q is an id", bad)
		}
	}
}

// XEP-0198 §4: what is still being stored is not acknowledged, and not left behind by a session that ends.
func TestAcceptedStanzasAreAcknowledgedWhenSettled(t *testing.T) {
	b := newBoard(t, "romeo")
	s := b.connect("romeo", "x").s
	first := s.Accept()
	answered := make(chan bool)
	go func() { answered <- s.settle() }()
	// The wait has begun when what is accepted now belongs to another epoch.
	second := s.Accept()
	for ; second == first; second = s.Accept() {
		s.Settled(second)
		runtime.Gosched()
	}
	// What came later may be settled before, and is not what is waited for.
	s.Settled(second)
	select {
	case <-answered:
		t.Fatal("acknowledged before it is stored")
	default:
	}
	var tickets []uint64
	for range maxLettersUnderWay - 1 {
		tickets = append(tickets, s.Accept())
	}
	roomy := make(chan struct{})
	go func() {
		s.AwaitRoom()
		close(roomy)
	}()
	select {
	case <-roomy:
		t.Fatal("there is no end of what is under way")
	case <-time.After(10 * time.Millisecond):
	}
	s.Settled(first)
	<-roomy
	if !<-answered {
		t.Error("not acknowledged when it is stored")
	}
	for _, ticket := range tickets {
		s.Settled(ticket)
	}
	if !s.settle() {
		t.Error("something is left")
	}
}
