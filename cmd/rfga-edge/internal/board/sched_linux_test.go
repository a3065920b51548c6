package board

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestPin and TestNice change their process for good, so each runs itself in one of its own.
func inChild(t *testing.T, do func()) {
	if os.Getenv("RFGA_BOARD_CHILD") == t.Name() {
		do()
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), "RFGA_BOARD_CHILD="+t.Name())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// threads starts a few threads, and calls check on each that the process has.
func threads(t *testing.T, change func(), check func(tid int)) {
	stop := make(chan struct{})
	defer close(stop)
	start := func() {
		up := make(chan struct{})
		go func() {
			runtime.LockOSThread()
			close(up)
			<-stop
		}()
		<-up
	}
	for range 4 {
		start()
	}
	change()
	for range 4 {
		start()
	}
	n := 0
	if err := eachThread(func(tid int) error { check(tid); n++; return nil }); err != nil || n < 8 {
		t.Errorf("%d threads, error %v", n, err)
	}
}

func TestPin(t *testing.T) {
	inChild(t, func() {
		var have unix.CPUSet
		if err := unix.SchedGetaffinity(0, &have); err != nil {
			t.Fatal(err)
		}
		cpu := members(&have)[0]
		threads(t, func() {
			if err := Pin([]int{cpu}); err != nil {
				t.Fatal(err)
			}
		}, func(tid int) {
			var set unix.CPUSet
			if err := unix.SchedGetaffinity(tid, &set); err != nil || set.Count() != 1 || !set.IsSet(cpu) {
				t.Errorf("thread %d: CPUs %v, error %v", tid, members(&set), err)
			}
		})
		if n := runtime.GOMAXPROCS(0); n != 1 {
			t.Errorf("GOMAXPROCS is %d", n)
		}
		if err := Pin([]int{maxCPU}); err == nil || !strings.Contains(err.Error(), "may use none") {
			t.Errorf("a CPU that is not there: %v", err)
		}
	})
}

func TestNice(t *testing.T) {
	inChild(t, func() {
		threads(t, func() {
			if err := Nice(15); err != nil {
				t.Fatal(err)
			}
		}, func(tid int) {
			// The system call gives 20 less the nice value.
			if n, err := unix.Getpriority(unix.PRIO_PROCESS, tid); err != nil || n != 20-15 {
				t.Errorf("thread %d: %d, error %v", tid, n, err)
			}
		})
	})
}

func TestEachThreadStopsAtAnError(t *testing.T) {
	boom := errors.New("boom")
	if err := eachThread(func(int) error { return boom }); err != boom {
		t.Error(err)
	}
}
