package board

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Thermal slows work down while a machine is hotter than a limit. Share is the share of full speed to work at: it falls by a
// sixth every two seconds while the hottest thermal zone is at the limit or above, and rises by a tenth once it is three degrees
// below, so that the speed settles instead of swinging. It never falls below a twentieth.
//
// It is safe for concurrent use; one Thermal for all workers.
type Thermal struct {
	zones []string // files with a temperature in thousandths of a degree Celsius
	max   float64
	log   func(string)
	now   func() time.Time

	mu      sync.Mutex
	read    time.Time // when the temperature was last looked at
	celsius float64
	share   float64
}

const (
	thermalEvery = 2 * time.Second
	thermalBand  = 3 // degrees below the limit from which it goes faster again
	slower       = 5 / 6.
	faster       = 1.1
	leastShare   = 1 / 20.
)

// SysThermal is where Linux has its thermal zones.
const SysThermal = "/sys/class/thermal"

// NewThermal looks for thermal zones in root, usually SysThermal. log gets a line when slowing down begins and ends.
func NewThermal(root string, max float64, log func(string)) (*Thermal, error) {
	zones, err := filepath.Glob(filepath.Join(root, "thermal_zone*", "temp"))
	if err != nil {
		return nil, err
	}
	t := &Thermal{zones: zones, max: max, log: log, now: time.Now, share: 1}
	if _, ok := t.hottest(); !ok {
		return nil, fmt.Errorf("%s: no thermal zone tells a temperature, so there is nothing to hold below %g degrees", root, max)
	}
	return t, nil
}

// Share is the share of full speed to work at now, above 0 and at most 1. A nil Thermal works at full speed.
func (t *Thermal) Share() float64 {
	if t == nil {
		return 1
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	if !t.read.IsZero() && now.Sub(t.read) < thermalEvery {
		return t.share
	}
	t.read = now
	celsius, ok := t.hottest()
	if !ok { // for the moment; what held stays
		return t.share
	}
	t.celsius = celsius
	before := t.share
	switch {
	case celsius >= t.max:
		t.share = max(t.share*slower, leastShare)
	case celsius <= t.max-thermalBand:
		t.share = min(t.share*faster, 1)
	}
	switch {
	case before == 1 && t.share < 1:
		t.log(fmt.Sprintf("%.1f degrees: slowing down to stay below %g", celsius, t.max))
	case before < 1 && t.share == 1:
		t.log(fmt.Sprintf("%.1f degrees: back to full speed", celsius))
	}
	return t.share
}

// Celsius is the temperature of the hottest zone when it was last looked at.
func (t *Thermal) Celsius() float64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.celsius
}

// hottest reads every zone. Those that cannot be read at the moment, or tell what no board can have, do not count: drivers answer
// -274 for a sensor that is off, and 255 for one that is not calibrated.
func (t *Thermal) hottest() (celsius float64, ok bool) {
	for _, path := range t.zones {
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		milli, err := strconv.ParseFloat(strings.TrimSpace(string(text)), 64)
		if c := milli / 1000; err == nil && c > -60 && c < 200 && (!ok || c > celsius) {
			celsius, ok = c, true
		}
	}
	return celsius, ok
}

// FPS combines a limit of frames a second (0: none) with the share: where there is no limit, with the speed that perFrame, the time
// a frame takes, allows. It returns 0 for no limit.
func (t *Thermal) FPS(limit float64, perFrame time.Duration) float64 {
	share := t.Share()
	if share == 1 {
		return limit
	}
	full := limit
	if perFrame > 0 && (full == 0 || full > 1/perFrame.Seconds()) {
		full = 1 / perFrame.Seconds()
	}
	return full * share
}
