// Kxops shows which stream, delivery or dead-letter queue will lose data first.
package main

import (
	"os"

	"kxops/ui/cli"
)

func main() {
	os.Exit(cli.Run(os.Args[1:], cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
}
