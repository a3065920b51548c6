package main

import (
	"fmt"

	"github.com/rfga-edge/rfga-edge/kernels"
)

type selftestCmd struct {
	JSON bool `name:"json" help:"Print one JSON object."`
}

// Help is what 'selftest --help' adds.
func (*selftestCmd) Help() string {
	return `Runs every kernel that this CPU can run and compares it with portable Go, bit by bit. The hash is over the results and is the same on every machine. RFGA_DISABLE=avx2 (or another name that the list shows) leaves out an instruction set and what builds on it.`
}

type kernelResult struct {
	Kernel string `json:"kernel"`
	OK     bool   `json:"ok"`
	Error  string `json:"error,omitempty"`
}

func (c *selftestCmd) Run(e *env) error {
	var list []kernelResult
	hash, err := kernels.SelfTest(func(kernel string, err error) {
		k := kernelResult{Kernel: kernel, OK: err == nil}
		if err != nil {
			k.Error = err.Error()
		}
		list = append(list, k)
	})
	if c.JSON {
		if perr := printJSON(e.out, struct {
			V       int            `json:"v"`
			ISA     string         `json:"isa"`
			OK      bool           `json:"ok"`
			Hash    string         `json:"hash"`
			Kernels []kernelResult `json:"kernels"`
		}{1, kernels.ISAName(), err == nil, hash, list}); perr != nil {
			return perr
		}
		return err
	}
	for _, k := range list {
		verdict := "ok"
		if !k.OK {
			verdict = "WRONG: " + k.Error
		}
		fmt.Fprintf(e.out, "%-36s %s\n", k.Kernel, verdict)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.out, "%d kernels, %s in use\nhash %s\n", len(list), kernels.Features(), hash)
	return badIO(err)
}
