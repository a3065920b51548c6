// Package service is the HTTP service of the command: photos to answers, named sources of video, one web page, and what
// monitoring wants to know.
//
//	POST /v1/localize                     a photo, as a body or a form; the JSON of 'localize --json'
//	POST /v1/vision/detection             the same as DeepStack and CodeProject.AI speak it, for Frigate and its kind
//	GET  /v1/model                        what the model is
//	GET  /v1/labels                       the classes by the names that detection gives, a line each
//	GET  /v1/sources                      the named sources with their state
//	GET  /v1/sources/NAME/latest.json     the newest answer
//	GET  /v1/sources/NAME/latest.jpg      the frame that it is about
//	GET  /v1/sources/NAME/events          answers as server-sent events
//	GET  /v1/sources/NAME/mjpeg           frames as a multipart stream
//	GET  /v2, /v2/health/..., /v2/models/NAME; POST .../infer    the Open Inference Protocol
//	GET  /metrics                         Prometheus text
//	GET  /                                the page
//
// Nothing that a client does takes unbounded memory or time. A request takes a place in a queue, or is told to come back; then
// the memory for its body, which all requests share; then a session, in whose turn the photo is decoded. The size of a photo is checked
// before it is decoded. Who watches a source gets the newest answer whenever the connection has room for one.
//
// It imports the root package, frame, and the command's internal packages overlay and stream.
package service
