// Package stats has the few statistics that the benchmark speaks of.
package stats

import (
	"math"
	"slices"
)

// Median is the middle of the values, between the two middle ones where their number is even; NaN of nothing.
func Median(values []float64) float64 {
	n := len(values)
	if n == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(values))
	if n%2 == 1 {
		return s[n/2]
	}
	return (s[n/2-1] + s[n/2]) / 2
}

// Quantile is the smallest value that at least the share q of all values does not exceed (nearest rank): it is always a value that
// occurred, and of 100 values the 0.99 quantile is the 99th. Values must be sorted.
func Quantile(sorted []float64, q float64) float64 {
	n := len(sorted)
	if n == 0 {
		return math.NaN()
	}
	// What floating point adds to a whole number must not become a rank.
	rank := int(math.Ceil(q*float64(n) - 1e-9))
	return sorted[min(max(rank, 1), n)-1]
}

// Ratios divides the values of a by those of b, round by round; rounds that one of them lacks are left out.
func Ratios(a, b []float64) []float64 {
	var r []float64
	for i := range min(len(a), len(b)) {
		if !math.IsNaN(a[i]) && !math.IsNaN(b[i]) && b[i] != 0 {
			r = append(r, a[i]/b[i])
		}
	}
	return r
}

// Known returns the values that are there.
func Known(values []float64) []float64 {
	return slices.DeleteFunc(slices.Clone(values), math.IsNaN)
}

// Welch compares the means of two samples (Welch's t). With more than some 100 values each, |t| > 3.3 is chance once in 1,000.
func Welch(a, b []float64) float64 {
	ma, va := moments(a)
	mb, vb := moments(b)
	return (ma - mb) / math.Sqrt(va/float64(len(a))+vb/float64(len(b)))
}

func moments(v []float64) (mean, variance float64) {
	for _, x := range v {
		mean += x
	}
	mean /= float64(len(v))
	for _, x := range v {
		variance += (x - mean) * (x - mean)
	}
	return mean, variance / float64(len(v)-1)
}

// Crop leaves out the upper share of sorted values: what the machine, not the server, made slow.
func Crop(values []float64, share float64) []float64 {
	s := slices.Sorted(slices.Values(values))
	return s[:len(s)-int(float64(len(s))*share)]
}
