//go:build wasip1 && defaultmodel

package main

import (
	rfgaedge "github.com/rfga-edge/rfga-edge"
	"github.com/rfga-edge/rfga-edge/defaultmodel"
)

func builtIn(opts ...rfgaedge.Option) (*rfgaedge.Model, error) { return defaultmodel.Open(opts...) }
