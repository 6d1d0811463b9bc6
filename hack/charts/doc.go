// Package charts tests the Helm charts, rendered by Helm itself, and that config/ says the same.
package charts
