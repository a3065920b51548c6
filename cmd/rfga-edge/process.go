package main

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"time"
)

// sinceStart is how long ago the process started: as the kernel tells where it does (in hundredths of a second), otherwise
// since Go's runtime was up.
func sinceStart() time.Duration {
	const ticks = 100 // USER_HZ, the same on every Linux
	stat, err1 := os.ReadFile("/proc/self/stat")
	up, err2 := os.ReadFile("/proc/uptime")
	if err1 == nil && err2 == nil {
		// The second field is the program's name in parentheses, which may hold anything; the 22nd is the start time.
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		now, _, _ := strings.Cut(string(up), " ")
		if len(fields) > 19 {
			start, err1 := strconv.ParseFloat(fields[19], 64)
			uptime, err2 := strconv.ParseFloat(now, 64)
			if err1 == nil && err2 == nil {
				return time.Duration((uptime - start/ticks) * float64(time.Second))
			}
		}
	}
	return time.Since(began)
}
