// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"time"
)

func contexts() {
	const count, children = 1_000_000, 100_000

	for round := 0; round < 2; round++ {
		parent, cancelParent := context.WithCancel(context.Background())
		start := time.Now()
		for i := 0; i < count; i++ {
			child, cancel := context.WithCancel(parent)
			_ = child.Done() // the channel is made when it is first asked for
			cancel()
		}
		made := time.Since(start)
		cancels := make([]context.CancelFunc, children)
		for i := range cancels {
			var child context.Context
			child, cancels[i] = context.WithCancel(parent)
			_ = child.Done()
		}
		start = time.Now()
		cancelParent()
		cancelled := time.Since(start)
		for _, cancel := range cancels {
			cancel()
		}
		if round == 1 { // the first was to warm up
			report("context-make", float64(made.Nanoseconds())/count, "ns")
			report("context-cancel", float64(cancelled.Nanoseconds())/children, "ns")
		}
	}
}
