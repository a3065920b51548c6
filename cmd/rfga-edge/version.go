package main

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/rfga-edge/rfga-edge/kernels"
)

// release is the version that the next tag will have. Models carry it without the commit, so that the same weights and
// images give the same file.
const release = "0.1.0"

type versionCmd struct {
	JSON bool `name:"json" help:"Print one JSON object."`
}

func (c *versionCmd) Run(e *env) error {
	if c.JSON {
		return printJSON(e.out, struct {
			V       int    `json:"v"`
			Version string `json:"version"`
			Go      string `json:"go"`
			OS      string `json:"os"`
			Arch    string `json:"arch"`
			ISA     string `json:"isa"`
		}{1, version(), runtime.Version(), runtime.GOOS, runtime.GOARCH, kernels.ISAName()})
	}
	_, err := fmt.Fprintf(e.out, "rfga-edge %s (%s, %s/%s, %s)\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH, kernels.ISAName())
	return badIO(err)
}

// version is the release with the commit it was built from, if Go stamped the build with it.
func version() string {
	v := release
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	setting := map[string]string{}
	for _, s := range info.Settings {
		setting[s.Key] = s.Value
	}
	if rev := setting["vcs.revision"]; rev != "" {
		v += "+" + rev[:min(len(rev), 12)]
		if setting["vcs.modified"] == "true" {
			v += ".modified"
		}
	} else if m := info.Main.Version; strings.HasPrefix(m, "v") {
		v = m[1:] // installed with 'go install module@version'
	}
	return v
}

// printJSON writes one object on one line.
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return badIO(enc.Encode(v))
}
