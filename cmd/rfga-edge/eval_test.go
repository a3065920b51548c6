package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// evalSet writes a data set of two images with maps that are right and wrong by construction.
func evalSet(t *testing.T) (data, maps string) {
	t.Helper()
	dir := t.TempDir()
	data, maps = filepath.Join(dir, "meta"), filepath.Join(dir, "maps")
	header := "{'descr': '<f8', 'fortran_order': False, 'shape': (1, 2), }"
	header += strings.Repeat(" ", 117-len(header)) + "\n"
	npy := append([]byte("\x93NUMPY\x01\x00"), byte(len(header)), 0)
	npy = append(append(npy, header...), make([]byte, 16)...)
	npy[len(npy)-1], npy[len(npy)-2] = 0x3f, 0xf0 // 0, 1: warm on the right
	for name, text := range map[string]string{
		"meta/image_ids.txt":    "a/x.jpg\na/y.jpg\n",
		"meta/image_sizes.txt":  "a/y.jpg,448,224\na/x.jpg,448,224\n",
		"meta/localization.txt": "a/y.jpg,0,0,100,100\na/x.jpg,224,0,447,223\na/y.jpg,0,120,100,223\n",
		"maps/a/x.npy":          string(npy), "maps/a/y.jpg.npy": string(npy),
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return data, maps
}

func TestEvalNpy(t *testing.T) {
	data, maps := evalSet(t)
	csv, plot := filepath.Join(data, "out.csv"), filepath.Join(data, "plot.svg")
	for _, threads := range []string{"1", "2"} {
		var out, errs bytes.Buffer
		if code := Main([]string{"eval", "--data", data, "--npy", maps, "--json", "--csv", csv, "--plot", plot, "--threads", threads}, nil, &out, &errs); code != 0 {
			t.Fatalf("exit code %d: %s", code, errs.String())
		}
		var got map[string]map[string]any
		if err := json.Unmarshal(out.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		v1, v2 := got["clova-v1"], got["clova-v2"]
		if len(got) != 3 || v1["MaxBoxAcc"] != 50.0 || v1["GTKnownLoc"] != 50.0 || v1["MaxBoxAccV2"] != nil || v1["Top1"] != nil || v1["PxAP"] != nil ||
			v2["MaxBoxAcc"] != nil || v2["MaxBoxAccV2"] != 50.0 || v2["contours"] != "multi" || v1["step"] != 0.001 {
			t.Errorf("%s", out.String())
		}
	}
	b, err := os.ReadFile(csv)
	if err != nil || !strings.HasPrefix(string(b), "image_id,class,") || !strings.Contains(string(b), "\na/x.jpg,,,,,,") {
		t.Errorf("%v: %s", err, b)
	}
	if b, err := os.ReadFile(plot); err != nil || strings.Count(string(b), "<polyline") != 9 {
		t.Errorf("plot: %v: %s", err, b)
	}
}

func TestEvalRefuses(t *testing.T) {
	data, maps := evalSet(t)
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"--npy", maps, "--step", "0"}, exitUsage, "--step"},
		{[]string{"--npy", filepath.Join(maps, "none")}, exitIO, "x.npy"},
		{[]string{"--npy", maps, "--classes", "x.csv"}, exitUsage, "--classes"},
		{[]string{"--npy", maps, "--accepted", filepath.Join(data, "image_ids.txt")}, exitInput, "accepted"},
		{[]string{"m.rfga", "--npy", maps}, exitUsage, "either"},
	} {
		var out, errs bytes.Buffer
		code := Main(append([]string{"eval", "--data", data}, c.args...), nil, &out, &errs)
		if code != c.code || out.Len() > 0 || !strings.Contains(errs.String(), c.says) && !strings.Contains(errs.String(), "expected") {
			t.Errorf("%v: exit code %d, %q", c.args, code, errs.String())
		}
	}
	if err := os.WriteFile(filepath.Join(data, "localization.txt"), []byte("a/x.jpg,5,0,1,9\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	if code := Main([]string{"eval", "--data", data, "--npy", maps}, nil, &out, &errs); code != exitInput || !strings.Contains(errs.String(), "a/x.jpg") {
		t.Errorf("a box that ends before it begins: exit code %d, %q", code, errs.String())
	}
}
