// SPDX-License-Identifier: MIT

package main

import "time"

const selectCount = 1_600_000

// selectChans are n channels with a sender each, who sends an equal share of the values.
func selectChans(n, capacity int) []chan int {
	chans := make([]chan int, n)
	for i := range chans {
		chans[i] = make(chan int, capacity)
		go func(values chan<- int) {
			for i := 0; i < selectCount/n; i++ {
				values <- i
			}
		}(chans[i])
	}
	return chans
}

func select2(capacity int) time.Duration {
	start := time.Now()
	c := selectChans(2, capacity)
	c0, c1 := c[0], c[1]
	for i := 0; i < selectCount; i++ {
		select {
		case <-c0:
		case <-c1:
		}
	}
	return time.Since(start)
}

func select8(capacity int) time.Duration {
	start := time.Now()
	c := selectChans(8, capacity)
	c0, c1, c2, c3, c4, c5, c6, c7 := c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]
	for i := 0; i < selectCount; i++ {
		select {
		case <-c0:
		case <-c1:
		case <-c2:
		case <-c3:
		case <-c4:
		case <-c5:
		case <-c6:
		case <-c7:
		}
	}
	return time.Since(start)
}

func selectDefault() time.Duration {
	c0, c1 := make(chan int), make(chan int)
	start := time.Now()
	for i := 0; i < selectCount; i++ {
		select {
		case <-c0:
		case <-c1:
		default:
		}
	}
	return time.Since(start)
}

func selects() {
	show := func(row string, took time.Duration) {
		report(row, float64(took.Nanoseconds())/selectCount, "ns")
	}
	select2(0)
	show("select-2", select2(0))
	show("select-8", select8(0))
	show("select-2-ready", select2(128))
	show("select-8-ready", select8(128))
	show("select-default", selectDefault())
}
