package main

import (
	"fmt"
	"math"
	"strings"
	"text/tabwriter"

	"github.com/rfga-edge/rfga-edge/rfga"
)

// scoreRecord is the JSON object of a protocol. A null is what the data do not give or the protocol does not define.
type scoreRecord struct {
	MaxBoxAcc   *float64
	MaxBoxAccV2 *float64
	MaxBoxAcc30 *float64
	MaxBoxAcc50 *float64
	MaxBoxAcc70 *float64
	PxAP        *float64
	Top1        *float64
	Top5        *float64
	Top1Loc     *float64
	Top5Loc     *float64
	GTKnownLoc  *float64
	Thresholds  []float64 `json:"thresholds"` // the best, in the order of IoUs
	Step        float64   `json:"step"`
	Contours    string    `json:"contours"`
	IoUs        []int     `json:"ious"`
	Images      int       `json:"images"`
	At          *atRecord `json:"at,omitempty"` // with --at
}

// atRecord says what one threshold gives, at each IoU.
type atRecord struct {
	Threshold float64   `json:"threshold"`
	BoxAcc    []float64 // nil without boxes
}

// at is the accuracy at --at, of the threshold measured that is nearest to it.
func (ev *evaluation) at(s *rfga.Scores) *atRecord {
	if ev.cmd.At == nil {
		return nil
	}
	best := 0
	for i, t := range ev.thresholds {
		if math.Abs(t-*ev.cmd.At) < math.Abs(ev.thresholds[best]-*ev.cmd.At) {
			best = i
		}
	}
	r := &atRecord{Threshold: ev.thresholds[best]}
	for _, curve := range s.Curves {
		if curve != nil {
			r.BoxAcc = append(r.BoxAcc, curve[best])
		}
	}
	return r
}

func (ev *evaluation) records(scores []rfga.Scores) map[string]scoreRecord {
	m := map[string]scoreRecord{}
	for i, s := range scores {
		p := ev.protocols[i]
		r := scoreRecord{MaxBoxAcc: number(s.MaxBoxAcc), MaxBoxAccV2: number(s.MaxBoxAccV2), MaxBoxAcc30: number(s.At[0]),
			MaxBoxAcc50: number(s.At[1]), MaxBoxAcc70: number(s.At[2]), PxAP: number(s.PxAP), Top1: number(s.Top1), Top5: number(s.Top5),
			Top1Loc: number(s.Top1Loc), Top5Loc: number(s.Top5Loc), GTKnownLoc: number(s.GTKnown),
			Step: ev.cmd.Step, Contours: p.Contours(), IoUs: rfga.IoUs[:], Images: ev.set.Len(), At: ev.at(&s)}
		for _, best := range s.Best {
			if best >= 0 {
				r.Thresholds = append(r.Thresholds, ev.thresholds[best])
			}
		}
		m[p.Name] = r
	}
	return m
}

func number(v float64) *float64 {
	if math.IsNaN(v) {
		return nil
	}
	return &v
}

// cell is a percentage, or a dash where there is none.
func cell(v float64) string {
	if math.IsNaN(v) {
		return "-"
	}
	return fmt.Sprintf("%.2f", v)
}

// printTable prints a column a protocol.
func (ev *evaluation) printTable(scores []rfga.Scores) error {
	var ious []string
	for _, d := range rfga.IoUs {
		ious = append(ious, fmt.Sprint(d))
	}
	fmt.Fprintf(ev.out, "%d images, step between thresholds %g, IoU %s %%\n", ev.set.Len(), ev.cmd.Step, strings.Join(ious, ", "))
	t := tabwriter.NewWriter(ev.out, 0, 0, 2, ' ', 0)
	row := func(name string, cell func(p rfga.Protocol, s *rfga.Scores) string) {
		fmt.Fprint(t, name)
		for i := range scores {
			fmt.Fprint(t, "\t", cell(ev.protocols[i], &scores[i]))
		}
		fmt.Fprintln(t)
	}
	value := func(name string, get func(s *rfga.Scores) float64) {
		row(name, func(_ rfga.Protocol, s *rfga.Scores) string {
			return cell(get(s))
		})
	}
	row("", func(p rfga.Protocol, _ *rfga.Scores) string { return p.Name })
	row("normalisation", func(p rfga.Protocol, _ *rfga.Scores) string { return p.Norm.String() })
	row("contours", func(p rfga.Protocol, _ *rfga.Scores) string { return p.Contours() })
	value("Top-1", func(s *rfga.Scores) float64 { return s.Top1 })
	value("Top-5", func(s *rfga.Scores) float64 { return s.Top5 })
	value("Top-1 Loc", func(s *rfga.Scores) float64 { return s.Top1Loc })
	value("Top-5 Loc", func(s *rfga.Scores) float64 { return s.Top5Loc })
	value("GT-known Loc", func(s *rfga.Scores) float64 { return s.GTKnown })
	for d := range rfga.IoUs {
		value("MaxBoxAcc at "+ious[d], func(s *rfga.Scores) float64 { return s.At[d] })
	}
	value("MaxBoxAcc", func(s *rfga.Scores) float64 { return s.MaxBoxAcc })
	value("MaxBoxAccV2", func(s *rfga.Scores) float64 { return s.MaxBoxAccV2 })
	value("PxAP", func(s *rfga.Scores) float64 { return s.PxAP })
	for d := range rfga.IoUs {
		row("best threshold at "+ious[d], func(_ rfga.Protocol, s *rfga.Scores) string {
			if s.Best[d] < 0 {
				return "-"
			}
			return fmt.Sprintf("%.4g", ev.thresholds[s.Best[d]])
		})
	}
	if ev.cmd.At != nil {
		for d := range rfga.IoUs {
			row(fmt.Sprintf("at threshold %g, IoU %s", ev.at(&scores[0]).Threshold, ious[d]), func(_ rfga.Protocol, s *rfga.Scores) string {
				if r := ev.at(s); r.BoxAcc != nil {
					return cell(r.BoxAcc[d])
				}
				return "-"
			})
		}
	}
	return badIO(t.Flush())
}
