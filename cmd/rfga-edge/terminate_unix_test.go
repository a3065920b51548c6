//go:build unix

package main

import (
	"os"
	"syscall"
)

// terminate sends this process SIGTERM, which the command it runs has asked for.
func terminate() error { return syscall.Kill(os.Getpid(), syscall.SIGTERM) }
