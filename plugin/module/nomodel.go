//go:build wasip1 && !defaultmodel

package main

import rfgaedge "github.com/rfga-edge/rfga-edge"

var builtIn func(...rfgaedge.Option) (*rfgaedge.Model, error)
