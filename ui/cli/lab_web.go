package cli

import (
	"context"
	"fmt"
	"net"

	"github.com/spf13/cobra"

	"kxops/labs"
	"kxops/labs/web"
)

func newLabWeb(s *session) *cobra.Command {
	var f labFlags
	var listen string
	c := &cobra.Command{
		Use:   "web LAB",
		Short: "A page that captures events and shows what became of each",
		Long: `Serves the lab's page on this machine: a form for each kind of event, one or a burst,
and a list of what happened to each: accepted, in the stream, archived, processed,
dead-lettered. It posts to the lab's API, and looks into the event store and the table
once a second while the page is open; it receives no message. ctrl+c ends it.`,
		Example: "  kxops lab web lab2",
		Args:    takes(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			l, err := theLab(args[0])
			if err != nil {
				return err
			}
			return s.labWeb(c.Context(), l, f, listen)
		},
	}
	f.register(c)
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:8080", "where the page is, on this machine only; port 0 takes a free one")
	return c
}

func (s *session) labWeb(ctx context.Context, l *labs.Lab, f labFlags, listen string) error {
	if err := checkListen(listen, false); err != nil {
		return err
	}
	g, err := s.mustGround(ctx, f)
	if err != nil {
		return err
	}
	if !g.place.Sandbox {
		if err := mayChange(g.account); err != nil {
			return err
		}
	}
	page, err := l.In(g.place).Page(ctx)
	if err != nil {
		return g.explain(err)
	}
	at, err := net.Listen("tcp", listen)
	if err != nil {
		return cannotListen(listen, err)
	}
	defer at.Close()
	if s.json() {
		if err := s.printJSON(map[string]any{"schema": "kxops/lab-web/v1", "url": "http://" + at.Addr().String() + "/"}); err != nil {
			return err
		}
	}
	fmt.Fprintf(s.Err, "the page of %s is at http://%s/; ctrl+c ends it\n", l.ID, at.Addr())
	return web.Serve(ctx, at, page)
}
