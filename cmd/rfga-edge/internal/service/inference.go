package service

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"

	rfgaedge "github.com/rfga-edge/rfga-edge"
	"github.com/rfga-edge/rfga-edge/runtime"
)

// The Open Inference Protocol, version 2, in JSON: health, metadata, and a model's raw outputs for normalised images. Whoever
// has a photo is better served by /v1/localize.

const modelVersion = "1"

// tensorInfo describes an input or output. -1 in a shape stands for any number.
type tensorInfo struct {
	Name     string `json:"name"`
	Datatype string `json:"datatype"`
	Shape    []int  `json:"shape"`
}

func (s *Server) live(w http.ResponseWriter, r *http.Request) error {
	return s.writeJSON(w, []byte("{\"live\":true}\n"))
}

func (s *Server) ready(w http.ResponseWriter, r *http.Request) error {
	select {
	case <-s.closing:
		return fail(http.StatusServiceUnavailable, "shutting down")
	default:
		return s.writeJSON(w, []byte("{\"ready\":true}\n"))
	}
}

func (s *Server) inferenceServer(w http.ResponseWriter, r *http.Request) error {
	return s.marshal(w, map[string]any{"name": "rfga-edge", "version": s.o.Version, "extensions": []string{}})
}

func (s *Server) marshal(w http.ResponseWriter, v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	return s.writeJSON(w, b.Bytes())
}

// model says what the page and curious clients want to know of the model.
func (s *Server) model(w http.ResponseWriter, r *http.Request) error {
	m := s.o.Model
	width, height := m.InputSize()
	return s.marshal(w, map[string]any{"v": 1, "model": m.Name(), "digest": m.Digest(), "precision": m.Precision(), "version": s.o.Version,
		"input": [2]int{width, height}, "classes": m.Classes()})
}

// named checks that a path names the model, and a version that there is.
func (s *Server) named(r *http.Request) error {
	if name := r.PathValue("model"); name != s.o.Model.Name() {
		return fail(http.StatusNotFound, "there is no model %.60q; this server has %q", name, s.o.Model.Name())
	}
	if v := r.PathValue("version"); v != "" && v != modelVersion {
		return fail(http.StatusNotFound, "there is no version %.20q of the model; there is %s", v, modelVersion)
	}
	return nil
}

func (s *Server) modelReady(w http.ResponseWriter, r *http.Request) error {
	if err := s.named(r); err != nil {
		return err
	}
	return s.marshal(w, map[string]any{"name": s.o.Model.Name(), "ready": true})
}

func (s *Server) modelMetadata(w http.ResponseWriter, r *http.Request) error {
	if err := s.named(r); err != nil {
		return err
	}
	return s.marshal(w, map[string]any{"name": s.o.Model.Name(), "versions": []string{modelVersion}, "platform": "rfga",
		"inputs": []tensorInfo{s.input()}, "outputs": s.outputs})
}

// input is the model's one input: channels before rows, normalised as the model's file says.
func (s *Server) input() tensorInfo {
	fm := s.o.Model.Runtime().Format()
	width, height := s.o.Model.InputSize()
	return tensorInfo{fm.Tensors[fm.Input].Name, "FP32", []int{1, 3, height, width}}
}

// outputsOf asks a session what the model gives.
func outputsOf(m *rfgaedge.Model) ([]tensorInfo, error) {
	session, err := m.Runtime().NewSession(runtime.Options{})
	if err != nil {
		return nil, err
	}
	defer session.Close()
	list := []tensorInfo{}
	for _, o := range session.Outputs() {
		list = append(list, tensorInfo{o.Name, "FP32", o.Shape})
	}
	return list, nil
}

// inferRequest is what a client sends; parameters that it may hold beside are ignored.
type inferRequest struct {
	ID     string `json:"id"`
	Inputs []struct {
		tensorInfo
		Data floats `json:"data"`
	} `json:"inputs"`
	Outputs []struct {
		Name string `json:"name"`
	} `json:"outputs"`
}

// floats are numbers in one list, however deep the lists are nested.
type floats []float32

func (f *floats) UnmarshalJSON(data []byte) error {
	d := json.NewDecoder(bytes.NewReader(data))
	for {
		t, err := d.Token()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		switch t := t.(type) {
		case float64:
			*f = append(*f, float32(t))
		case json.Delim:
			if t != '[' && t != ']' {
				return errors.New("data: an object among the numbers")
			}
		default:
			return fmt.Errorf("data: %v is not a number", t)
		}
	}
}

type inferOutput struct {
	tensorInfo
	Data []float32 `json:"data"`
}

// infer runs the network on one normalised image.
func (s *Server) infer(w http.ResponseWriter, r *http.Request) error {
	if err := s.named(r); err != nil {
		return err
	}
	if err := s.desk.enter(); err != nil {
		return err
	}
	defer s.desk.leave()
	ctx, cancel := context.WithTimeout(r.Context(), requestTime)
	defer cancel()
	body, give, err := s.receiveBody(ctx, w, r)
	defer give()
	if err != nil {
		return err
	}
	var q inferRequest
	if err := json.Unmarshal(body, &q); err != nil {
		return fail(http.StatusBadRequest, "the body is no request of the Open Inference Protocol in JSON: %w", err)
	}
	x, err := s.checkInputs(&q)
	if err != nil {
		return err
	}
	var outputs []inferOutput
	if err := s.desk.with(ctx, func(*rfgaedge.Session) error {
		outputs, err = s.raw(ctx, x, func(name string) bool {
			return len(q.Outputs) == 0 || slices.ContainsFunc(q.Outputs, func(o struct {
				Name string `json:"name"`
			}) bool {
				return o.Name == name
			})
		})
		return err
	}); err != nil {
		return err
	}
	answer := map[string]any{"model_name": s.o.Model.Name(), "model_version": modelVersion, "outputs": outputs}
	if q.ID != "" {
		answer["id"] = q.ID
	}
	return s.marshal(w, answer)
}

// checkInputs compares what a client sends with what the model takes.
func (s *Server) checkInputs(q *inferRequest) ([]float32, error) {
	want := s.input()
	if len(q.Inputs) != 1 {
		return nil, fail(http.StatusBadRequest, "%d inputs: the model takes one, %q", len(q.Inputs), want.Name)
	}
	in := &q.Inputs[0]
	switch {
	case in.Name != want.Name:
		return nil, fail(http.StatusBadRequest, "input %.60q: the model's is %q", in.Name, want.Name)
	case in.Datatype != want.Datatype:
		return nil, fail(http.StatusBadRequest, "input of datatype %.20q: the model takes %s", in.Datatype, want.Datatype)
	case !slices.Equal(in.Shape, want.Shape):
		return nil, fail(http.StatusBadRequest, "input of shape %.80s: the model takes %v", fmt.Sprint(in.Shape), want.Shape)
	case len(in.Data) != 3*want.Shape[2]*want.Shape[3]:
		return nil, fail(http.StatusBadRequest, "input with %d numbers: shape %v has %d", len(in.Data), want.Shape, 3*want.Shape[2]*want.Shape[3])
	}
	for _, o := range q.Outputs {
		if !slices.ContainsFunc(s.outputs, func(t tensorInfo) bool { return t.Name == o.Name }) {
			return nil, fail(http.StatusBadRequest, "there is no output %.60q; the model's metadata list them", o.Name)
		}
	}
	return in.Data, nil
}

// raw runs the whole network. Its session lives for the request: few clients want raw outputs, and the others should not pay
// for its memory.
func (s *Server) raw(ctx context.Context, x []float32, wanted func(string) bool) ([]inferOutput, error) {
	session, err := s.o.Model.Runtime().NewSession(runtime.Options{Threads: s.o.Threads})
	if err != nil {
		return nil, err
	}
	defer session.Close()
	if err := session.SetFloat(0, x); err != nil {
		return nil, err
	}
	if err := session.Run(ctx); err != nil {
		if ctx.Err() != nil {
			return nil, overdue(ctx)
		}
		return nil, err
	}
	outputs := []inferOutput{}
	for i, o := range session.Outputs() {
		if !wanted(o.Name) {
			continue
		}
		n := 1
		for _, d := range o.Shape {
			n *= d
		}
		data := make([]float32, n)
		if err := session.OutputFloat(0, i, data); err != nil {
			return nil, err
		}
		outputs = append(outputs, inferOutput{tensorInfo{o.Name, "FP32", o.Shape}, data})
	}
	return outputs, nil
}
