package main

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestInterruptible(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	b, err := io.ReadAll(interruptible{ctx, strings.NewReader("all of it")})
	if string(b) != "all of it" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	silent, w := io.Pipe() // nobody ever writes
	defer w.Close()
	cancel()
	if _, err := (interruptible{ctx, silent}).Read(make([]byte, 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("a wait was not interrupted: %v", err)
	}
}
