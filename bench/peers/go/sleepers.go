// SPDX-License-Identifier: MIT

package main

import (
	"sort"
	"sync"
	"syscall"
	"time"
)

// cpu is the processor time this process has used.
func cpu() time.Duration {
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func sleepers() {
	const count = 100_000

	var wg sync.WaitGroup
	late := make([]time.Duration, count)
	before := cpu()
	wg.Add(count)
	for i := 0; i < count; i++ {
		i := i
		go func() {
			defer wg.Done()
			duration := time.Duration(i*7919%1000+1) * time.Millisecond
			start := time.Now()
			time.Sleep(duration)
			late[i] = time.Since(start) - duration
		}()
	}
	wg.Wait()
	used := cpu() - before
	sort.Slice(late, func(i, j int) bool { return late[i] < late[j] })
	report("sleepers-p50", late[count/2].Seconds()*1e3, "ms")
	report("sleepers-p99", late[count/100*99].Seconds()*1e3, "ms")
	report("sleepers-cpu", used.Seconds()*1e3, "ms")
}
