// SPDX-License-Identifier: MIT

package main

import (
	"sort"
	"sync"
	"time"
)

func spawnAndJoin(count int) time.Duration {
	var wg sync.WaitGroup
	start := time.Now()
	wg.Add(count)
	for i := 0; i < count; i++ {
		go func() {
			wg.Done()
		}()
	}
	wg.Wait()
	return time.Since(start)
}

func spawn() {
	const count, rounds = 1_000_000, 3

	report("spawn-cold", float64(spawnAndJoin(count).Nanoseconds())/count, "ns")
	var warm []time.Duration
	for i := 0; i < rounds; i++ {
		warm = append(warm, spawnAndJoin(count))
	}
	sort.Slice(warm, func(i, j int) bool { return warm[i] < warm[j] })
	report("spawn-warm", float64(warm[rounds/2].Nanoseconds())/count, "ns")
}

func batch() {
	const size, batches = 100, 10_000

	for i := 0; i < batches/10; i++ {
		spawnAndJoin(size)
	}
	start := time.Now()
	for i := 0; i < batches; i++ {
		spawnAndJoin(size)
	}
	report("batch", float64(time.Since(start).Nanoseconds())/batches/size, "ns")
}
