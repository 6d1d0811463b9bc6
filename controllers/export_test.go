package controllers

import (
	"context"

	"github.com/go-logr/logr"
)

// SchemaOf makes a Schema of what a function gives.
func SchemaOf(fetch func(context.Context) ([]byte, error), log logr.Logger) *Schema {
	return &Schema{fetch: fetch, log: log}
}

// Compare asks once and lists what is missing.
func (s *Schema) Compare(ctx context.Context) ([]string, error) { return s.compare(ctx) }
