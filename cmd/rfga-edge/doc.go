// Command rfga-edge converts trained weights to .rfga models and localizes what is in photos with them.
//
// main.go has the command line and exit.go the exit codes; every verb has a file of its own, whose struct is its flags and
// whose Run method is its work: localize, convert, run, inspect, bench, selftest, version. sources.go finds and decodes
// images. Results go to standard output, everything else to standard error.
//
// Beneath internal/: npy (arrays in files), outdir (result files that never collide and are never half written), overlay
// (the picture with heat map, boxes and labels). peers/ has the Python programs that measure other runtimes beside this one.
//
// It may import every package of the module.
package main
