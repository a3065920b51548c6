package service

import (
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const detectionPath = "/v1/vision/detection"

// detectionAnswer is what DeepStack answers, with what CodeProject.AI adds.
type detectionAnswer struct {
	Success     bool            `json:"success"`
	Error       string          `json:"error,omitempty"`
	Code        int             `json:"code"`
	Count       int             `json:"count"`
	Predictions []predictedBox  `json:"predictions"`
	Millis      int64           `json:"processMs"`
	Inference   int64           `json:"inferenceMs"`
	Duration    json.RawMessage `json:"duration"` // seconds, as DeepStack has it
}

type predictedBox struct {
	Label      string  `json:"label"`
	Confidence float32 `json:"confidence"`
	XMin       int     `json:"x_min"`
	YMin       int     `json:"y_min"`
	XMax       int     `json:"x_max"`
	YMax       int     `json:"y_max"`
}

const (
	minConfidence  = 0.4 // where a request does not say; Frigate passes over what is less sure
	maxPredictions = 20  // Frigate has room for no more
)

// detection answers as object detectors do: boxes with labels, the surest first. The form has the field "image", and may
// have "min_confidence" and "api_key".
func (s *Server) detection(w http.ResponseWriter, r *http.Request) error {
	begin := time.Now()
	o := s.o.Look
	o.Heat = false
	if o.Classes == nil {
		o.TopK = maxPredictions
	}
	answer := detectionAnswer{Success: true, Code: http.StatusOK, Predictions: []predictedBox{}}
	err := s.photo(w, r, o, func(u *upload, f *finding) error {
		least := max(minConfidence, o.MinP)
		if text, ok := u.fields["min_confidence"]; ok {
			v, err := strconv.ParseFloat(text, 64)
			if err != nil || !(v >= 0 && v <= 1) {
				return fail(http.StatusBadRequest, "min_confidence=%.40s: want a number from 0 to 1", text)
			}
			least = v
		}
		for _, l := range f.result.Locations {
			if float64(l.Class.P) < least || len(answer.Predictions) == maxPredictions {
				continue
			}
			answer.Predictions = append(answer.Predictions, predictedBox{detectionLabel(l.Class.ID, l.Class.Label), l.Class.P, l.Box.X0, l.Box.Y0, l.Box.X1, l.Box.Y1})
		}
		t := f.result.Timings
		answer.Inference = (t.Preprocess + t.Infer + t.Locate).Milliseconds()
		return nil
	})
	if err != nil {
		return err
	}
	answer.Count = len(answer.Predictions)
	spent := time.Since(begin)
	answer.Millis = spent.Milliseconds()
	answer.Duration = strconv.AppendFloat(nil, math.Round(spent.Seconds()*1e4)/1e4, 'f', -1, 64)
	body, err := json.Marshal(&answer)
	if err != nil {
		return err
	}
	return s.writeJSON(w, append(body, '\n'))
}

// detectionLabel is the first of a class's names, in small letters as detectors have them.
func detectionLabel(id int, label string) string {
	name, _, _ := strings.Cut(label, ",")
	if name == "" {
		return "class " + strconv.Itoa(id)
	}
	return strings.ToLower(name)
}

// labels lists the names that detection gives, in the order of the classes: what Frigate calls a label map.
func (s *Server) labels(w http.ResponseWriter, r *http.Request) error {
	labels := s.o.Model.Labels()
	var text []byte
	for id := range s.o.Model.Classes() {
		label := ""
		if id < len(labels) {
			label = labels[id]
		}
		text = append(append(text, detectionLabel(id, label)...), '\n')
	}
	return s.write(w, "text/plain; charset=utf-8", text)
}

// detectionError is the object of an error as such clients look for it.
func detectionError(e *statusError) []byte {
	body, err := json.Marshal(&detectionAnswer{Error: e.Error(), Code: e.status, Predictions: []predictedBox{}, Duration: json.RawMessage("0")})
	if err != nil {
		return errorJSON(e)
	}
	return append(body, '\n')
}
