//go:build linux

package runtime

import (
	"os"
	"path/filepath"
	"testing"
)

func TestQuota(t *testing.T) {
	root := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("app/cpu.max", "150000 100000\n")
	write("app/inner/cpu.max", "max 100000\n")
	write("free/cpu.max", "max 100000\n")
	write("bad/cpu.max", "x 100000\n")
	write("cpu/old/cpu.cfs_quota_us", "50000\n")
	write("cpu/old/cpu.cfs_period_us", "100000\n")
	write("cpu/none/cpu.cfs_quota_us", "-1\n")
	write("cpu/none/cpu.cfs_period_us", "100000\n")
	for _, c := range []struct {
		groups string
		want   float64
	}{
		{"0::/app\n", 1.5},
		{"0::/app/inner\n", 1.5}, // the outer group's limit holds for the inner one
		{"0::/free\n", unlimited},
		{"0::/bad\n", unlimited},
		{"0::/missing\n", unlimited},
		{"4:memory:/app\n3:cpu,cpuacct:/old\n", 0.5},
		{"3:cpu,cpuacct:/none\n0::/\n", unlimited},
		{"3:cpuset:/old\n", unlimited},
		{"", unlimited},
	} {
		if got := quota(c.groups, root); got != c.want {
			t.Errorf("quota of %q is %g, want %g", c.groups, got, c.want)
		}
	}
	if n := processors(); n <= 0 {
		t.Errorf("%g processors", n)
	}
}
