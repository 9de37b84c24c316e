// SPDX-License-Identifier: MIT

package main

import (
	"runtime"
	"sync"
	"time"
)

func yielders(goroutines, count int) time.Duration {
	var wg sync.WaitGroup
	start := time.Now()
	wg.Add(goroutines)
	for i := 0; i < goroutines; i++ {
		go func() {
			defer wg.Done()
			for i := 0; i < count; i++ {
				runtime.Gosched()
			}
		}()
	}
	wg.Wait()
	return time.Since(start)
}

func yield() {
	const count = 1_000_000

	yielders(2, count)
	report("yield-two", float64(yielders(2, count).Nanoseconds())/count/2, "ns")
	yielders(1, count)
	report("yield-one", float64(yielders(1, count).Nanoseconds())/count, "ns")
}
