// SPDX-License-Identifier: MIT

package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
)

// httpServer answers / and, below /files/, what is in the folder that the second argument names.
func httpServer() {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		io.WriteString(w, "Hello, World!\n")
	})
	files := http.FileServer(http.Dir(os.Args[2]))
	http.Handle("/files/", http.StripPrefix("/files/", files))

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	log.Fatal(http.Serve(listener, nil))
}
