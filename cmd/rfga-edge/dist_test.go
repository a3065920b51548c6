package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

const unit = "dist/rfga-edge-camera@.service"

// TestUnit lets systemd check the unit of a camera service, and how much of the system it can reach.
func TestUnit(t *testing.T) {
	systemd, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skipf("systemd is not here: %v", err)
	}
	text, err := os.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "rfga-edge-camera@video0.service") // systemd wants the program to exist
	if err := os.WriteFile(path, bytes.ReplaceAll(text, []byte("/usr/local/bin/rfga-edge"), []byte(os.Args[0])), 0o666); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(systemd, "verify", path).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	// 10 is a service that may do everything.
	if out, err := exec.Command(systemd, "security", "--offline=yes", "--threshold=20", path).CombinedOutput(); err != nil {
		t.Errorf("systemd-analyze security: %v\n%s", err, out)
	}
}

// The unit's command line is one that the program takes: the only thing wrong with it is that there is no such device.
func TestUnitFlags(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("video devices are read on Linux only")
	}
	text, err := os.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	_, line, _ := strings.Cut(string(text), "\nExecStart=/usr/local/bin/rfga-edge ")
	line, _, _ = strings.Cut(line, "\n")
	_, flags, _ := strings.Cut(string(text), "\nEnvironment=\"RFGA_FLAGS=")
	flags, _, _ = strings.Cut(flags, "\"")
	line = strings.NewReplacer("/dev/%i", filepath.Join(t.TempDir(), "video0"), "$RFGA_FLAGS", flags).Replace(line)
	var said bytes.Buffer
	cmd := process(t, strings.Fields(line)...)
	cmd.Stderr = &said
	if err := cmd.Run(); cmd.ProcessState.ExitCode() != exitIO || !strings.Contains(said.String(), "video0") {
		t.Errorf("%s: %v\n%s", line, err, &said)
	}
}
