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

// semaphore is the usual one of Go without its extension modules: a channel with room for the permits.
type semaphore chan struct{}

func syncTypes() {
	const count, goroutines = 2_000_000, 8

	measure := func(row string, count, n int, work func(i int)) {
		for round := 0; round < 2; round++ {
			var wg sync.WaitGroup
			start := time.Now()
			wg.Add(n)
			for i := 0; i < n; i++ {
				go func(i int) {
					defer wg.Done()
					work(i)
				}(i)
			}
			wg.Wait()
			if round == 1 { // the first was to warm up
				report(row, float64(time.Since(start).Nanoseconds())/float64(count), "ns")
			}
		}
	}

	var rw sync.RWMutex
	var counter int
	measure("rwmutex-read", count, goroutines, func(int) {
		for i := 0; i < count/goroutines; i++ {
			rw.RLock()
			rw.RUnlock()
		}
	})
	measure("rwmutex-mixed", count, goroutines, func(int) {
		for i := 0; i < count/goroutines; i++ {
			if i%100 == 0 {
				rw.Lock()
				counter++
				rw.Unlock()
			} else {
				rw.RLock()
				rw.RUnlock()
			}
		}
	})
	var once sync.Once
	measure("once", count, 1, func(int) {
		for i := 0; i < count; i++ {
			once.Do(func() {})
		}
	})
	permits := make(semaphore, 100)
	measure("sem", count, goroutines, func(int) {
		for i := 0; i < count/goroutines; i++ {
			permits <- struct{}{}
			<-permits
		}
	})
	var mu sync.Mutex
	cond := sync.NewCond(&mu)
	turn := 0
	measure("cond", count/4, 2, func(mine int) {
		mu.Lock()
		for i := 0; i < count/4; i++ {
			for turn != mine {
				cond.Wait()
			}
			turn = 1 - mine
			cond.Signal()
		}
		mu.Unlock()
	})
}
