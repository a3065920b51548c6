// Package report writes what quantization cost as one HTML page: no file and no address outside of it, light and dark, for a phone
// as for a desk, readable without scripts (one sorts the table of layers and opens the details of a layer that is linked to).
//
// page.go writes the page from top to bottom, layers.go the table and the details of each layer, charts.go the drawings as SVG.
// style.css and script.js are part of the page.
package report
