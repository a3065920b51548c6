package board

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// Pin lets the process run on these CPUs alone. Go's own number of processors follows.
func Pin(cpus []int) error {
	var set unix.CPUSet
	for _, cpu := range cpus {
		set.Set(cpu)
	}
	err := eachThread(func(tid int) error { return unix.SchedSetaffinity(tid, &set) })
	if errors.Is(err, unix.EINVAL) {
		var have unix.CPUSet
		if unix.SchedGetaffinity(0, &have) == nil {
			return fmt.Errorf("CPUs %v: this process may use none of them (it has %v)", cpus, members(&have))
		}
	}
	if err != nil {
		return os.NewSyscallError("sched_setaffinity", err)
	}
	runtime.SetDefaultGOMAXPROCS()
	return nil
}

func members(set *unix.CPUSet) (list []int) {
	for cpu := range maxCPU + 1 {
		if set.IsSet(cpu) {
			list = append(list, cpu)
		}
	}
	return list
}

// Nice sets the process's nice value: 19 gives way to everybody, below 0 needs a privilege.
func Nice(n int) error {
	return os.NewSyscallError("setpriority", eachThread(func(tid int) error { return unix.Setpriority(unix.PRIO_PROCESS, tid, n) }))
}

// eachThread does something to every thread: on Linux affinity and nice value are a thread's own, and new threads take those of the
// one that starts them. It looks again until there are no new ones.
func eachThread(do func(tid int) error) error {
	seen := map[string]bool{}
	for more := true; more; {
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return err
		}
		more = false
		for _, task := range tasks {
			if seen[task.Name()] {
				continue
			}
			seen[task.Name()], more = true, true
			tid, err := strconv.Atoi(task.Name())
			if err != nil {
				return err
			}
			if err := do(tid); err != nil && err != unix.ESRCH { // it has ended
				return err
			}
		}
	}
	return nil
}
