package kernels

import "testing"

func TestISANames(t *testing.T) {
	for _, x := range isaTable {
		got, err := ParseISA(x.isa.String())
		if err != nil || got != x.isa {
			t.Errorf("%s: parsed as %v, %v", x.name, got, err)
		}
	}
	if _, err := ParseISA("avx2,axv512"); err == nil {
		t.Error("a misspelt name is accepted")
	}
	if s := (NEON | DotProd).String(); s != "neon+dotprod" {
		t.Errorf("got %s", s)
	}
}

func TestDisable(t *testing.T) {
	all := closure(AVX512VNNI) | AVXVNNI
	for _, test := range []struct {
		env  string
		want ISA
	}{
		{"", all},
		{"avx2", SSE41},
		{"avx512", SSE41 | AVX2 | AVXVNNI},
		{"avx512vnni", closure(AVX512) | AVXVNNI},
		{"avxvnni,avx512vnni", closure(AVX512)},
		{"sse4.1", Portable},
		{"winograd", all},
	} {
		drop, words, err := parseDisable(test.env)
		if err != nil {
			t.Errorf("%s: %v", test.env, err)
		}
		if got := all.without(drop); got != test.want {
			t.Errorf("RFGA_DISABLE=%s leaves %v, want %v", test.env, got, test.want)
		}
		if words["winograd"] != (test.env == "winograd") {
			t.Errorf("RFGA_DISABLE=%s: switches %v", test.env, words)
		}
	}
	if _, _, err := parseDisable("avx-2"); err == nil {
		t.Error("a misspelt word is accepted")
	}
}
