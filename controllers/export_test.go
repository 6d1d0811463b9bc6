package controllers

import "time"

// Patience changes how long the API server may take to publish definitions, and the pause until older ones are looked at again.
func (s *Schema) Patience(settles, again time.Duration) { s.settles, s.again = settles, again }
