// The minimum of a webhook in Go: it reads the uid from the envelope and answers with it and a constant patch.
package main

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
)

type request struct {
	UID string `json:"uid"`
}

type response struct {
	UID       string `json:"uid"`
	Allowed   bool   `json:"allowed"`
	PatchType string `json:"patchType"`
	Patch     []byte `json:"patch"`
}

type review struct {
	APIVersion string    `json:"apiVersion"`
	Kind       string    `json:"kind"`
	Request    *request  `json:"request,omitempty"`
	Response   *response `json:"response,omitempty"`
}

var patch = []byte(`[{"op":"add","path":"/spec/hostUsers","value":false}]`)

func answer(w http.ResponseWriter, r *http.Request) {
	var received review
	if err := json.NewDecoder(r.Body).Decode(&received); err != nil || received.Request == nil {
		http.Error(w, "no AdmissionReview", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(review{
		APIVersion: "admission.k8s.io/v1",
		Kind:       "AdmissionReview",
		Response:   &response{UID: received.Request.UID, Allowed: true, PatchType: "JSONPatch", Patch: patch},
	})
}

func main() {
	folder := os.Args[1]
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("listening on %s\n", listener.Addr())
	server := &http.Server{
		Handler:      http.HandlerFunc(answer),
		TLSConfig:    &tls.Config{MinVersion: tls.VersionTLS13},
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){}, // HTTP/1.1, as the others
	}
	log.Fatal(server.ServeTLS(listener, filepath.Join(folder, "tls.crt"), filepath.Join(folder, "tls.key")))
}
