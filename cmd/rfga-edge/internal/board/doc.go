// Package board keeps a process polite on a small machine: on which CPUs it runs, how nice it is to others, and how fast it may
// go before the board becomes too hot.
//
// It imports the standard library and golang.org/x/sys.
package board
