// SPDX-License-Identifier: MIT

package main

import (
	"bufio"
	"fmt"
	"log"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// memory is what the kernel charges to this process: pages and page tables, in bytes.
func memory() float64 {
	file, err := os.Open("/proc/self/status")
	if err != nil {
		log.Fatal(err)
	}
	defer file.Close()
	var sum float64
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if text := lines.Text(); strings.HasPrefix(text, "VmRSS:") || strings.HasPrefix(text, "VmPTE:") {
			var kib float64
			fmt.Sscanf(text[len("VmRSS:"):], "%f", &kib)
			sum += kib * 1024
		}
	}
	return sum
}

func parked() {
	const count = 1_000_000

	var wg sync.WaitGroup
	gate := make(chan struct{})
	before := memory()
	start := time.Now()
	wg.Add(count)
	for i := 0; i < count; i++ {
		go func() {
			wg.Done()
			<-gate
		}()
	}
	wg.Wait()
	took := time.Since(start)
	report("parked-memory", (memory()-before)/count, "B")
	report("parked-time", took.Seconds()*1e6/count, "us")
}

func queued() {
	const count = 1_000_000

	var ran atomic.Int64
	var most int64
	before := memory()
	for i := int64(1); i <= count; i++ {
		go func() {
			ran.Add(1)
		}()
		if queued := i - ran.Load(); queued > most {
			most = queued
		}
	}
	report("queued-memory", (memory()-before)/float64(most), "B")
}
