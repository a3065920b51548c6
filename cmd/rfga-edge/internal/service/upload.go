package service

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"time"
)

// bodyTime is how long a body may take to arrive.
const bodyTime = 30 * time.Second

// upload is the photo of a request, and the small fields of its form.
type upload struct {
	name   string // of the file, as the client says; "-" for a body
	photo  []byte
	fields map[string]string
}

const (
	maxFields     = 16
	maxFieldBytes = 1 << 12
)

// receive reads the photo. It waits for the memory first; give returns that.
func (s *Server) receive(ctx context.Context, w http.ResponseWriter, r *http.Request) (u *upload, give func(), err error) {
	kind, params, err := contentType(r)
	if err != nil {
		return nil, func() {}, err
	}
	u = &upload{name: "-"}
	give, err = s.body(ctx, w, r, func(body io.Reader) error {
		if kind == "multipart/form-data" {
			return u.readForm(body, params["boundary"])
		}
		u.photo, err = readSized(body, r.ContentLength)
		return err
	})
	if err == nil && len(u.photo) == 0 {
		err = fail(http.StatusBadRequest, "there is no photo in the request; send its bytes as the body, or in the field \"image\" of a form")
	}
	return u, give, err
}

// receiveBody is receive for bodies that are no photo.
func (s *Server) receiveBody(ctx context.Context, w http.ResponseWriter, r *http.Request) (data []byte, give func(), err error) {
	give, err = s.body(ctx, w, r, func(body io.Reader) error {
		data, err = readSized(body, r.ContentLength)
		return err
	})
	return data, give, err
}

// body waits for the memory that the request's body may take and lets read have it, in the time that a body may take.
func (s *Server) body(ctx context.Context, w http.ResponseWriter, r *http.Request, read func(io.Reader) error) (give func(), err error) {
	size := r.ContentLength
	if size > s.o.MaxBody {
		return func() {}, &http.MaxBytesError{Limit: s.o.MaxBody}
	}
	if size < 0 {
		size = s.o.MaxBody
	}
	if err := s.desk.bytes.Acquire(ctx, size); err != nil {
		return func() {}, overdue(ctx)
	}
	control := http.NewResponseController(w)
	control.SetReadDeadline(time.Now().Add(bodyTime))
	err = read(http.MaxBytesReader(w, r.Body, s.o.MaxBody))
	control.SetReadDeadline(time.Time{})
	return func() { s.desk.bytes.Release(size) }, err
}

// contentType refuses what is plainly no photo. Clients often say nothing of use, so the photo's own bytes decide.
func contentType(r *http.Request) (kind string, params map[string]string, err error) {
	text := r.Header.Get("Content-Type")
	if text == "" {
		return "", nil, nil
	}
	kind, params, err = mime.ParseMediaType(text)
	switch {
	case err != nil:
	case kind == "multipart/form-data" && params["boundary"] != "",
		strings.HasPrefix(kind, "image/"), kind == "application/octet-stream", kind == "application/x-www-form-urlencoded": // curl --data-binary
		return kind, params, nil
	}
	return "", nil, fail(http.StatusUnsupportedMediaType, "content type %.80q: send a photo as image/jpeg or application/octet-stream, or a multipart/form-data form with the field \"image\"", text)
}

// readSized reads all of r, whose size may be known.
func readSized(r io.Reader, size int64) ([]byte, error) {
	var b bytes.Buffer
	if size > 0 {
		b.Grow(int(min(size, 1<<20)) + bytes.MinRead) // more only as it comes
	}
	_, err := b.ReadFrom(r)
	return b.Bytes(), err
}

// imageFields are the names of a photo's field: ours and DeepStack's first.
var imageFields = []string{"image", "photo", "file"}

func (u *upload) readForm(body io.Reader, boundary string) error {
	u.fields = map[string]string{}
	form := multipart.NewReader(body, boundary)
	for fields := 0; ; {
		part, err := form.NextRawPart()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return badForm(err)
		}
		name := part.FormName()
		if slices.Contains(imageFields, name) || part.FileName() != "" {
			if u.photo != nil {
				return fail(http.StatusBadRequest, "the form has more than one photo; send them one by one")
			}
			if u.photo, err = readSized(part, 0); err != nil {
				return badForm(err)
			}
			if u.name = part.FileName(); u.name == "" {
				u.name = name
			}
			continue
		}
		value, err := io.ReadAll(io.LimitReader(part, maxFieldBytes+1))
		if err != nil {
			return badForm(err)
		}
		if len(value) > maxFieldBytes || fields == maxFields {
			return fail(http.StatusBadRequest, "the form has more than %d fields besides the photo, or one of more than %d bytes", maxFields, maxFieldBytes)
		}
		u.fields[name] = string(value)
		fields++
	}
}

// badForm keeps the errors of the connection and says of others that the form is broken.
func badForm(err error) error {
	if e := classify(err); e.status != http.StatusInternalServerError && !errors.Is(err, io.ErrUnexpectedEOF) {
		return e
	}
	return fail(http.StatusBadRequest, "the form is broken: %w; is the boundary in the header that of the body?", err)
}
