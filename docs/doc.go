// Package docs holds the documentation. Its test runs what the pages tell to run.
//
// A block fenced as "sh test" is run by sh -e, the blocks of a page one after the other in one folder, with rfga-edge in the
// path. Each line of a block fenced as "text" behind it must be in what it printed, in that order; "..." stands for anything.
// "sh torch" is run where RFGA_TRAIN is set and Python has PyTorch. <!-- test: cp FROM TO --> puts a file or folder of the
// repository there first, <!-- test: needs PROGRAM --> skips a page where a program is missing, and
// <!-- test: port N --> puts a free port in the place of N. A block fenced as "go test" is a program
// that is run in the repository's root.
package docs
