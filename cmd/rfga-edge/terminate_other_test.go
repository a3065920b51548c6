//go:build !unix

package main

import "errors"

func terminate() error { return errors.ErrUnsupported }
