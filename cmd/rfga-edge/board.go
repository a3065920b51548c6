package main

import (
	"errors"
	"fmt"
	"math"

	"github.com/rfga-edge/rfga-edge/cmd/rfga-edge/internal/board"
)

// boardFlags are the flags of verbs that run for days on a small machine beside others.
type boardFlags struct {
	CPUs    string   `name:"cpus" placeholder:"LIST" help:"Run on these CPUs alone, such as 0,2-3."`
	Nice    *int     `placeholder:"N" help:"Give way to other programs: a nice value up to 19."`
	TempMax *float64 `name:"temp-max" placeholder:"C" help:"Work more slowly while the hottest thermal zone is at C degrees Celsius or above."`
}

// sysThermal is where tests put thermal zones.
var sysThermal = board.SysThermal

// apply makes the process what the flags say, before it starts to work. The Thermal is nil without --temp-max.
func (c *boardFlags) apply(e *env) (*board.Thermal, error) {
	board.Frugal()
	if c.CPUs != "" {
		cpus, err := board.ParseCPUs(c.CPUs)
		if err != nil {
			return nil, usage("--cpus: %w", err)
		}
		if err := board.Pin(cpus); err != nil {
			return nil, refused("--cpus", err)
		}
	}
	if c.Nice != nil {
		if *c.Nice < -20 || *c.Nice > 19 {
			return nil, usage("--nice %d: -20 to 19", *c.Nice)
		}
		if err := board.Nice(*c.Nice); err != nil {
			return nil, refused("--nice", err)
		}
	}
	if c.TempMax == nil {
		return nil, nil
	}
	if !(*c.TempMax > 0 && *c.TempMax < 150) || math.IsNaN(*c.TempMax) {
		return nil, usage("--temp-max %g: above 0 and below 150 degrees Celsius", *c.TempMax)
	}
	thermal, err := board.NewThermal(sysThermal, *c.TempMax, func(line string) { fmt.Fprintf(e.err, "rfga-edge: %s\n", line) })
	if err != nil {
		return nil, refused("--temp-max", err)
	}
	return thermal, nil
}

// refused is the error of a wish that this machine does not grant: its own words where a system call failed, else misuse.
func refused(flag string, err error) error {
	if isIO(err) && !errors.Is(err, errors.ErrUnsupported) {
		return badIO(fmt.Errorf("%s: %w", flag, err))
	}
	return usage("%s: %w", flag, err)
}
