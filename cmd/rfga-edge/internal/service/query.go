package service

import (
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	rfgaedge "github.com/rfga-edge/rfga-edge"
)

// heatForm says how a heat map is to be sent.
type heatForm string

const (
	heatNone heatForm = "none"
	heatPNG  heatForm = "png" // 8-bit gray
	heatF32  heatForm = "f32" // little endian
)

// query reads the parameters of a request; what is wrong with them is in err.
type query struct {
	values url.Values
	err    error
}

// newQuery parses the query and refuses parameters that are not known.
func newQuery(r *http.Request, known ...string) *query {
	values, err := url.ParseQuery(r.URL.RawQuery)
	q := &query{values: values}
	if err != nil {
		q.err = fail(http.StatusBadRequest, "the query cannot be read: %w", err)
	}
	for name := range values {
		if !slices.Contains(known, name) {
			q.refuse("there is no parameter %.40q; there are %s", name, strings.Join(known, ", "))
		}
	}
	return q
}

func (q *query) refuse(format string, args ...any) {
	if q.err == nil {
		q.err = fail(http.StatusBadRequest, format, args...)
	}
}

func (q *query) integer(name string, standing, least, most int) int {
	text := q.values.Get(name)
	if text == "" {
		return standing
	}
	v, err := strconv.Atoi(text)
	if err != nil || v < least || v > most {
		q.refuse("%s=%.40s: want a whole number from %d to %d", name, text, least, most)
	}
	return v
}

func (q *query) share(name string, standing float64) float64 {
	text := q.values.Get(name)
	if text == "" {
		return standing
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || !(v >= 0 && v <= 1) {
		q.refuse("%s=%.40s: want a number from 0 to 1", name, text)
	}
	return v
}

func (q *query) truth(name string, standing bool) bool {
	text := q.values.Get(name)
	if text == "" {
		return standing
	}
	v, err := strconv.ParseBool(text)
	if err != nil {
		q.refuse("%s=%.40s: want 1 or 0", name, text)
	}
	return v
}

func choice[T ~string](q *query, name string, list ...T) T {
	text := T(q.values.Get(name))
	if text == "" {
		return list[0]
	}
	if !slices.Contains(list, text) {
		q.refuse("%s=%.40s: want one of %s", name, string(text), strings.Trim(fmt.Sprint(list), "[]"))
	}
	return text
}

// lookParameters are those of looking at one photo.
var lookParameters = []string{"topk", "locate", "threshold", "multi", "min-p", "class", "heatmap"}

// look changes what is looked for as the parameters say.
func (q *query) look(model *rfgaedge.Model, o rfgaedge.LocalizeOptions) (rfgaedge.LocalizeOptions, heatForm, error) {
	o.TopK = q.integer("topk", o.TopK, 1, math.MaxInt32)
	o.Locate = q.integer("locate", o.Locate, 1, math.MaxInt32)
	if q.values.Has("threshold") {
		o.Threshold = max(q.share("threshold", 0), math.SmallestNonzeroFloat64)
	}
	o.Multi = q.truth("multi", o.Multi)
	o.MinP = q.share("min-p", o.MinP)
	if names := q.values["class"]; names != nil {
		o.Classes = nil
		for _, name := range names {
			id, err := model.FindClass(name)
			if err != nil {
				q.refuse("%w", err)
			}
			o.Classes = append(o.Classes, id)
		}
		slices.Sort(o.Classes)
		o.Classes = slices.Compact(o.Classes)
	}
	heat := choice(q, "heatmap", heatNone, heatPNG, heatF32)
	o.Heat = heat != heatNone
	return o, heat, q.err
}
