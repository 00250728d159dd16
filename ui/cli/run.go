package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/charmbracelet/x/term"
	"github.com/spf13/cobra"

	"kxops/labs/functions"
	"kxops/ops/cloud"
	"kxops/ui/config"
)

// Streams are the three ends of a command. Only an *os.File can be a terminal.
type Streams struct {
	In  io.Reader
	Out io.Writer // data
	Err io.Writer // talk
}

// Run executes one command line, without the program's name, and returns the
// exit code. It ends early, and cleanly, on SIGINT, SIGTERM and SIGHUP.
func Run(args []string, streams Streams) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	return run(ctx, args, streams)
}

func run(ctx context.Context, args []string, streams Streams) int {
	s := &session{Streams: streams, meter: cloud.NewMeter()}
	if functions.InLambda() { // this binary is also what runs the labs' functions
		return s.tell(functions.Serve(ctx))
	}
	root := s.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err != nil && ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = errors.New("interrupted")
	}
	return s.tell(err)
}

// session is one command line being carried out.
type session struct {
	Streams
	globals
	read  *config.Config // nil until a command needs it
	meter *cloud.Meter   // of every account and region this run opens

	// enter opens an account in place of a profile's, nil for none: an AWS inside
	// this process keeps its own time.
	enter func(ctx context.Context, region string) (*account, error)
}

func (s *session) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "kxops",
		Short: "Which stream, delivery or dead-letter queue will lose data first, and why",
		Long: `kxops is a console and a command line for people who are on call for event
pipelines on AWS: Kinesis, Firehose, SQS, Lambda, SNS, S3. It shows which stream,
delivery or dead-letter queue will lose data first, and why.

Without a command it opens the console on your AWS account. "kxops demo" opens it
on an AWS of its own that runs inside the program: no account is needed.`,
		Args:          noSuchCommand,
		RunE:          s.console,
		SilenceErrors: true, // told by tell, once
		SilenceUsage:  true,
	}
	root.SetIn(s.In)
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return wrongUsage(fmt.Sprintf("%s; see `%s --help`", flagTrouble(err.Error()), c.CommandPath()))
	})
	s.globals.register(root)
	for _, add := range commands {
		root.AddCommand(add(s))
	}
	return root
}

// flagTrouble says what is wrong with a flag's value without the name of the
// function that found it.
func flagTrouble(what string) string {
	head, parsing, ok := strings.Cut(what, ": strconv.Parse")
	switch {
	case !ok:
		return what
	case strings.HasSuffix(parsing, "out of range"):
		return head + ": the number is too large"
	case strings.HasPrefix(parsing, "Bool"):
		return head + ": must be true or false"
	case strings.HasPrefix(parsing, "Float"):
		return head + ": must be a number"
	}
	return head + ": must be a whole number"
}

// isTerminal reports whether a stream is a terminal, and its width in cells.
func isTerminal(stream any) (width int, ok bool) {
	f, isFile := stream.(*os.File)
	if !isFile || !term.IsTerminal(f.Fd()) {
		return 0, false
	}
	width, _, err := term.GetSize(f.Fd())
	if err != nil || width <= 0 {
		width = 80
	}
	return width, true
}
