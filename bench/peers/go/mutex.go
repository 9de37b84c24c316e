// SPDX-License-Identifier: MIT

package main

import (
	"sync"
	"time"
)

func mutex() {
	const count = 4_000_000

	var mu sync.Mutex
	var counter int
	measure := func(goroutines int) time.Duration {
		var wg sync.WaitGroup
		start := time.Now()
		wg.Add(goroutines)
		for i := 0; i < goroutines; i++ {
			go func() {
				defer wg.Done()
				for i := 0; i < count/goroutines; i++ {
					mu.Lock()
					counter++
					mu.Unlock()
				}
			}()
		}
		wg.Wait()
		return time.Since(start)
	}
	measure(1)
	report("mutex-alone", float64(measure(1).Nanoseconds())/count, "ns")
	measure(8)
	report("mutex-8", float64(measure(8).Nanoseconds())/count, "ns")
}
