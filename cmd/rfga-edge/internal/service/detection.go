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
			name, _, _ := strings.Cut(l.Class.Label, ",") // the first of its names
			if name == "" {
				name = "class " + strconv.Itoa(l.Class.ID)
			}
			answer.Predictions = append(answer.Predictions, predictedBox{name, l.Class.P, l.Box.X0, l.Box.Y0, l.Box.X1, l.Box.Y1})
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

// detectionError is the object of an error as such clients look for it.
func detectionError(e *statusError) []byte {
	body, err := json.Marshal(&detectionAnswer{Error: e.Error(), Code: e.status, Predictions: []predictedBox{}, Duration: json.RawMessage("0")})
	if err != nil {
		return errorJSON(e)
	}
	return append(body, '\n')
}
