package runtime

import (
	"os"
	"path"
	goruntime "runtime"
	"strconv"
	"strings"
)

// processors is how many processors this process may keep busy: those of its affinity mask, or fewer if a control group's
// quota allows less, which may be a fraction.
func processors() float64 {
	n := float64(goruntime.NumCPU()) // of the mask
	groups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return n
	}
	return min(n, quota(string(groups), "/sys/fs/cgroup"))
}

// unlimited is the quota of a group that has none.
const unlimited = 1 << 20

// quota is the least of the processor quotas of the groups that /proc/self/cgroup lists and those around them.
func quota(groups, root string) float64 {
	least := float64(unlimited)
	for line := range strings.Lines(groups) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3) // number:controllers:path
		if len(f) != 3 {
			continue
		}
		read := quotaV2
		base := root
		if f[1] != "" {
			controllers := "," + f[1] + ","
			if !strings.Contains(controllers, ",cpu,") {
				continue
			}
			read, base = quotaV1, path.Join(root, "cpu")
		}
		for dir := path.Join("/", f[2]); ; dir = path.Dir(dir) {
			if q := read(path.Join(base, dir)); q > 0 {
				least = min(least, q)
			}
			if dir == "/" {
				break
			}
		}
	}
	return least
}

// quotaV2 reads "QUOTA PERIOD", in microseconds; 0 if there is no limit.
func quotaV2(dir string) float64 {
	text, err := os.ReadFile(path.Join(dir, "cpu.max"))
	if err != nil {
		return 0
	}
	f := strings.Fields(string(text))
	if len(f) != 2 {
		return 0
	}
	return ratio(f[0], f[1])
}

// quotaV1 is the older form, two files.
func quotaV1(dir string) float64 {
	most, err1 := os.ReadFile(path.Join(dir, "cpu.cfs_quota_us"))
	period, err2 := os.ReadFile(path.Join(dir, "cpu.cfs_period_us"))
	if err1 != nil || err2 != nil {
		return 0
	}
	return ratio(strings.TrimSpace(string(most)), strings.TrimSpace(string(period)))
}

func ratio(quota, period string) float64 {
	q, err1 := strconv.ParseFloat(quota, 64) // not of "max"
	p, err2 := strconv.ParseFloat(period, 64)
	if err1 != nil || err2 != nil || q <= 0 || p <= 0 {
		return 0
	}
	return q / p
}
