package controllers

import (
	"testing"

	"k8s.io/client-go/util/watchlist"
)

// Client libraries ask by the name of a method, which may change.
func TestInformersBeginWithAList(t *testing.T) {
	if !watchlist.DoesClientNotSupportWatchListSemantics(&patient{}) {
		t.Error("informers begin with a watch that has everything, which takes twice the time of the API server")
	}
}
