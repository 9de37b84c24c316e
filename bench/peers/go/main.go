// SPDX-License-Identifier: MIT

// The benchmark scenarios as a Go programmer would write them. Each file is named for the program in
// bench/ that does the same on weft, and says only what differs. Usage: gobench SCENARIO, or
// gobench http FOLDER, with GOMAXPROCS in the environment.
package main

import (
	"fmt"
	"os"
)

var scenarios = map[string]func(){
	"spawn":    spawn,
	"batch":    batch,
	"yield":    yield,
	"pingpong": pingpong,
	"buffered": buffered,
	"select":   selects,
	"fanin":    fanin,
	"skynet":   skynet,
	"mutex":    mutex,
	"sync":     syncTypes,
	"context":  contexts,
	"parked":   parked,
	"queued":   queued,
	"sleepers": sleepers,
	"echo":     echo,
	"http":     httpServer,
	"process":  func() {},
}

func main() {
	if len(os.Args) == 2 || len(os.Args) == 3 && os.Args[1] == "http" {
		if run, ok := scenarios[os.Args[1]]; ok {
			run()
			return
		}
	}
	fmt.Fprintln(os.Stderr, "usage: gobench SCENARIO")
	os.Exit(2)
}

// report prints the line that bench/run reads.
func report(row string, value float64, unit string) {
	fmt.Printf("%s go %.3f %s\n", row, value, unit)
}
