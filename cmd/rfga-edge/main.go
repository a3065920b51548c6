package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"reflect"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"github.com/rfga-edge/rfga-edge/kernels"
)

var began = time.Now()

func main() { os.Exit(Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// cli is the command line: one field a verb, each with its flags and a Run method.
type cli struct {
	Localize localizeCmd `cmd:"" help:"Say what is in photos, and where."`
	Eval     evalCmd     `cmd:"" help:"Measure localization on a data set, as the field does."`
	Stream   streamCmd   `cmd:"" help:"Say what is in the frames of a video, one JSON object a frame."`
	Serve    serveCmd    `cmd:"" set:"topk=5" help:"Answer over HTTP: photos, sources of video, a page for people."`
	Convert  convertCmd  `cmd:"" help:"Convert trained weights to a .rfga model."`
	Run      runCmd      `cmd:"" help:"Run a model on an array and write every output."`
	Inspect  inspectCmd  `cmd:"" help:"Show what a model holds and how it runs on this machine."`
	Bench    benchCmd    `cmd:"" help:"Measure how fast a model runs on this machine."`
	Selftest selftestCmd `cmd:"" help:"Compare every kernel of this CPU with the portable one."`
	Plugin   pluginCmd   `cmd:"" help:"Use the WebAssembly module."`
	Version  versionCmd  `cmd:"" help:"Print the version."`
}

// env is the world a verb runs in. Results go to out, everything else to err.
type env struct {
	ctx context.Context
	in  io.Reader
	out io.Writer
	err io.Writer
}

// grammar is the command line's, or if args begin with a verb, that verb's alone: to build it for all of them takes as long as some
// models take to run.
func grammar(args []string) (verbs any, one kong.Option) {
	all := reflect.TypeFor[cli]()
	for i := range all.NumField() {
		if f := all.Field(i); len(args) > 0 && args[0] == strings.ToLower(f.Name) {
			return &struct{}{}, kong.DynamicCommand(args[0], f.Tag.Get("help"), "", reflect.New(f.Type).Interface())
		}
	}
	return &cli{}, kong.OptionFunc(func(*kong.Kong) error { return nil })
}

// panicsEscape lets tests see a bug's stack instead of an exit code.
var panicsEscape = false

// Main runs the command with the arguments behind its name and returns its exit code.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer) (code int) {
	defer func() {
		if panicsEscape {
			return
		}
		if r := recover(); r != nil {
			fmt.Fprintf(stderr, "rfga-edge: internal error: %v\nThis is a bug; please report it with these lines.\n%s", r, debug.Stack())
			code = exitInternal
		}
	}()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process at once

	exited := -1
	verbs, one := grammar(args)
	parser, err := kong.New(verbs, one, kong.Name("rfga-edge"),
		kong.Description("Weakly supervised object localization: a photo in, a box out.\n\n"+
			"Exit codes: 0 ok, 2 usage, 3 bad model, 4 bad input, 5 I/O, 130 interrupted."),
		kong.Vars{"topk": "1", "formats": pixelFormats(), "ops": strings.Join(kernels.BenchOps, ", ")},
		kong.Writers(stdout, stderr), kong.Exit(func(code int) { exited = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}))
	if err != nil {
		panic(err) // the struct above is wrong
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(args)
	if exited >= 0 {
		return exited
	}
	if err == nil {
		err = kernels.CheckEnv()
	}
	if err != nil {
		fmt.Fprintf(stderr, "rfga-edge: %v\nTry 'rfga-edge --help'.\n", err)
		return exitUsage
	}
	err = parsed.Run(&env{ctx: ctx, in: interruptible{ctx, stdin}, out: stdout, err: stderr})
	code = exitCode(err)
	switch {
	case err == nil, errors.Is(err, errReported):
	case code == exitInterrupted:
		fmt.Fprintln(stderr, "rfga-edge: interrupted")
	default:
		fmt.Fprintf(stderr, "rfga-edge: %v\n", err)
	}
	return code
}
