package board

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParseCPUs(t *testing.T) {
	for list, want := range map[string][]int{"0": {0}, "2,0": {0, 2}, "0-2,2, 7": {0, 1, 2, 7}, "1023": {1023}} {
		got, err := ParseCPUs(list)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v, %v", list, got, err)
		}
	}
	for _, bad := range []string{"", ",", "1-", "-1", "2-1", "x", "0,,1", "1024", "0-99999999999999999999"} {
		if got, err := ParseCPUs(bad); err == nil {
			t.Errorf("%q: %v", bad, got)
		}
	}
}

// sysfs is a folder with thermal zones.
func sysfs(t *testing.T, zones ...string) (root string, set func(zone int, text string)) {
	root = t.TempDir()
	set = func(zone int, text string) {
		dir := filepath.Join(root, fmt.Sprint("thermal_zone", zone))
		if err := os.MkdirAll(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "temp"), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for i, text := range zones {
		set(i, text)
	}
	return root, set
}

// A model of a board, whose temperature follows the share of full speed it works at, is brought to the limit and held there.
func TestThermalHoldsTheLimit(t *testing.T) {
	root, set := sysfs(t, "-274000\n", "30000\n", "255000\n", "no number\n")
	var said []string
	th, err := NewThermal(root, 70, func(s string) { said = append(said, s) })
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(0, 0)
	th.now = func() time.Time { return now }
	temperature, share := 30.0, 1.0
	step := func(ambient float64) {
		// 60 degrees above the surroundings at full speed, reached within half a minute or so.
		temperature += (ambient + 60*share - temperature) * 0.1
		set(1, fmt.Sprintf("%.0f\n", 1000*temperature))
		now = now.Add(2 * time.Second)
		share = th.Share()
	}
	for i := range 300 {
		step(25)
		if i > 60 && (temperature > 74 || temperature < 62) {
			t.Fatalf("step %d: %.1f degrees at %.2f of full speed", i, temperature, share)
		}
	}
	if share > 0.9 || share < 0.5 || len(said) != 1 || !strings.Contains(said[0], "slowing down") {
		t.Errorf("share %.2f, said %q", share, said)
	}
	for range 100 {
		step(0)
	}
	if share != 1 || len(said) != 2 || !strings.Contains(said[1], "full speed") {
		t.Errorf("cooler surroundings: share %.2f, said %q", share, said)
	}
	for range 100 { // a fan that has stopped
		step(120)
	}
	if share != leastShare {
		t.Errorf("share %v, want the least", share)
	}
	set(1, "")
	if now = now.Add(time.Hour); th.Share() != leastShare {
		t.Error("a zone that cannot be read changes the share")
	}
}

func TestThermalFPS(t *testing.T) {
	if fps := (*Thermal)(nil).FPS(5, time.Second); fps != 5 {
		t.Errorf("without a limit of heat: %v", fps)
	}
	root, set := sysfs(t, "80000")
	th, err := NewThermal(root, 70, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(0, 0)
	th.now = func() time.Time { return now }
	share := th.Share()
	for _, c := range []struct {
		limit    float64
		perFrame time.Duration
		want     float64
	}{{6, 0, 6 * share}, {6, 100 * time.Millisecond, 6 * share}, {30, 100 * time.Millisecond, 10 * share}, {0, 100 * time.Millisecond, 10 * share}, {0, 0, 0}} {
		if got := th.FPS(c.limit, c.perFrame); got < c.want*0.999 || got > c.want*1.001 {
			t.Errorf("%+v: %v", c, got)
		}
	}
	set(0, "20000")
	for range 3 {
		now = now.Add(time.Minute)
		th.Share()
	}
	if fps := th.FPS(0, time.Second); fps != 0 {
		t.Errorf("at full speed: %v", fps)
	}
	if _, err := NewThermal(t.TempDir(), 70, nil); err == nil {
		t.Error("no zones, no error")
	}
}
