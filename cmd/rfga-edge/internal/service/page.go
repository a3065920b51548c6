package service

import (
	"embed"
	"net/http"
)

//go:embed page
var page embed.FS

// pageFile answers with a file of the page.
func pageFile(name, kind string) func(http.ResponseWriter, *http.Request) error {
	body, err := page.ReadFile("page/" + name)
	if err != nil {
		panic(err) // it is built in
	}
	return func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Cache-Control", "no-cache")
		w.Write(body)
		return nil
	}
}
