// Command sink is a subscriber for the end-to-end tests: it keeps the
// attributes of the CloudEvents it receives and lists them at GET /events.
package main

import (
	"encoding/json"
	"log"
	"net/http"
	"sync"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
)

func main() {
	var mu sync.Mutex
	received := []map[string]any{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /events", func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if err := json.NewEncoder(w).Encode(received); err != nil {
			log.Print(err)
		}
	})
	mux.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) {
		event, err := cloudevents.NewEventFromHTTPRequest(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		attributes := map[string]any{"type": event.Type(), "id": event.ID(), "subject": event.Subject()}
		for name, value := range event.Extensions() {
			attributes[name] = value
		}
		mu.Lock()
		received = append(received, attributes)
		mu.Unlock()
		w.WriteHeader(http.StatusAccepted)
	})
	server := &http.Server{Addr: ":8080", Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	log.Fatal(server.ListenAndServe())
}
