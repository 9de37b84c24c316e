// SPDX-License-Identifier: MIT

package main

import (
	"log"
	"sort"
	"sync"
	"time"
)

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

	measure := func(pairs int) time.Duration {
		var senders, receivers sync.WaitGroup
		start := time.Now()
		items := make(chan int, capacity)
		senders.Add(pairs)
		receivers.Add(pairs)
		for i := 0; i < pairs; i++ {
			go func() {
				defer senders.Done()
				for i := 0; i < count/pairs; i++ {
					items <- i
				}
			}()
			go func() {
				defer receivers.Done()
				for range items {
				}
			}()
		}
		senders.Wait()
		close(items)
		receivers.Wait()
		return time.Since(start)
	}
	measure(1)
	report("buffered", float64(measure(1).Nanoseconds())/count, "ns")
	report("buffered-4x4", float64(measure(4).Nanoseconds())/count, "ns")
}

func fanin() {
	const senders, each = 1000, 2000

	measure := func() time.Duration {
		start := time.Now()
		values := make(chan int)
		for i := 0; i < senders; i++ {
			go func() {
				for i := 0; i < each; i++ {
					values <- i
				}
			}()
		}
		for i := 0; i < senders*each; i++ {
			<-values
		}
		return time.Since(start)
	}
	measure()
	report("fanin", float64(measure().Nanoseconds())/(senders*each), "ns")
}

func skynet() {
	const leaves, children, rounds = 1_000_000, 10, 3

	var node func(result chan<- int, number, leaves int)
	node = func(result chan<- int, number, leaves int) {
		if leaves == 1 {
			result <- number
			return
		}
		results := make(chan int)
		share := leaves / children
		for i := 0; i < children; i++ {
			go node(results, number+i*share, share)
		}
		sum := 0
		for i := 0; i < children; i++ {
			sum += <-results
		}
		result <- sum
	}
	measure := func() float64 {
		start := time.Now()
		result := make(chan int)
		go node(result, 0, leaves)
		if sum := <-result; sum != leaves*(leaves-1)/2 {
			log.Fatal("the sum is wrong: ", sum)
		}
		return float64(time.Since(start).Nanoseconds()) / 1e6
	}
	report("skynet-cold", measure(), "ms")
	var warm []float64
	for i := 0; i < rounds; i++ {
		warm = append(warm, measure())
	}
	sort.Float64s(warm)
	report("skynet-warm", warm[rounds/2], "ms")
}
