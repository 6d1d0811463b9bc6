package stats

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{
		{[]float64{3}, 3},
		{[]float64{9, 1, 5}, 5},
		{[]float64{4, 1, 3, 2}, 2.5},
	} {
		if got := Median(c.values); got != c.want {
			t.Errorf("Median(%v) = %v, want %v", c.values, got, c.want)
		}
	}
	if got := Median(nil); !math.IsNaN(got) {
		t.Errorf("Median of nothing is %v", got)
	}
	values := []float64{2, 1}
	Median(values)
	if values[0] != 2 {
		t.Error("Median changed the order of its argument")
	}
}

func TestQuantileIsNearestRank(t *testing.T) {
	hundred := make([]float64, 100)
	for i := range hundred {
		hundred[i] = float64(i + 1)
	}
	for _, c := range []struct{ q, want float64 }{{0, 1}, {0.01, 1}, {0.5, 50}, {0.501, 51}, {0.99, 99}, {0.991, 100}, {1, 100}} {
		if got := Quantile(hundred, c.q); got != c.want {
			t.Errorf("Quantile(1..100, %v) = %v, want %v", c.q, got, c.want)
		}
	}
	if got := Quantile([]float64{7}, 0.99); got != 7 {
		t.Errorf("of one value: %v", got)
	}
	if got := Quantile(nil, 0.5); !math.IsNaN(got) {
		t.Errorf("of nothing: %v", got)
	}
}

func TestRatiosPairRounds(t *testing.T) {
	nan := math.NaN()
	got := Ratios([]float64{1, nan, 9, 4}, []float64{2, 5, 3})
	if len(got) != 2 || got[0] != 0.5 || got[1] != 3 {
		t.Errorf("got %v, want [0.5 3]: rounds that one lacks are left out", got)
	}
}

func TestWelchSeesADifferenceAndNoneWhereNoneIs(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	sample := func(mean float64) []float64 {
		v := make([]float64, 500)
		for i := range v {
			v[i] = mean + r.NormFloat64()
		}
		return v
	}
	if got := Welch(sample(10), sample(10)); math.Abs(got) > 3.3 {
		t.Errorf("of equal means: t = %v", got)
	}
	if got := Welch(sample(10), sample(10.5)); math.Abs(got) < 3.3 {
		t.Errorf("of means half a deviation apart, 500 values each: t = %v", got)
	}
	// By hand: means 2 and 4, variances 1 and 4, three values each: -2 / sqrt(1/3 + 4/3).
	if got, want := Welch([]float64{1, 2, 3}, []float64{2, 4, 6}), -2/math.Sqrt(5.0/3); math.Abs(got-want) > 1e-12 {
		t.Errorf("t = %v, want %v", got, want)
	}
}

func TestCropLeavesTheSlowOut(t *testing.T) {
	got := Crop([]float64{5, 1, 100, 3, 2, 4, 6, 7, 8, 9}, 0.2)
	if len(got) != 8 || got[0] != 1 || got[7] != 8 {
		t.Errorf("got %v, want 1 to 8", got)
	}
}
