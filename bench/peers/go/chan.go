// SPDX-License-Identifier: MIT

package main

import "time"

func pingpong() {
	const count = 500_000

	ping, pong := make(chan int), make(chan int)
	go func() {
		for value := range ping {
			pong <- value
		}
	}()
	roundTrips := func(count int) {
		for i := 0; i < count; i++ {
			ping <- i
			<-pong
		}
	}
	roundTrips(count / 10)
	start := time.Now()
	roundTrips(count)
	report("pingpong", float64(time.Since(start).Nanoseconds())/count, "ns")
}

func buffered() {
	const count, capacity = 3_000_000, 128

	measure := func() time.Duration {
		start := time.Now()
		items := make(chan int, capacity)
		go func() {
			for i := 0; i < count; i++ {
				items <- i
			}
			close(items)
		}()
		for range items {
		}
		return time.Since(start)
	}
	measure()
	report("buffered", float64(measure().Nanoseconds())/count, "ns")
}
