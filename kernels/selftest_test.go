package kernels

import (
	"slices"
	"testing"
)

func TestSelfTest(t *testing.T) {
	var seen []string
	digest, err := SelfTest(func(kernel string, err error) {
		seen = append(seen, kernel)
		if err != nil {
			t.Errorf("%s: %v", kernel, err)
		}
	})
	if err != nil || len(digest) != 64 {
		t.Errorf("digest %q, error %v", digest, err)
	}
	for _, k := range Registry() {
		if k.Runnable && !slices.Contains(seen, k.Name) {
			t.Errorf("%s is not tested", k.Name)
		}
	}
}
