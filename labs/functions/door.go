package functions

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

// request is what a function gets from an HTTP API: payload format version 2.0,
// as far as the labs use it.
type request struct {
	RouteKey string `json:"routeKey"`
	Body     string `json:"body"`
	Base64   bool   `json:"isBase64Encoded"`
}

// readRequest returns the request and its body.
func readRequest(event []byte) (request, []byte, error) {
	var r request
	if err := json.Unmarshal(event, &r); err != nil {
		return r, nil, fmt.Errorf("the event is no request of an HTTP API: %w", err)
	}
	body := []byte(r.Body)
	if r.Base64 {
		var err error
		if body, err = base64.StdEncoding.DecodeString(r.Body); err != nil {
			return r, nil, fmt.Errorf("the body is not base64: %w", err)
		}
	}
	return r, body, nil
}

// response is what an HTTP API makes an answer of.
type response struct {
	Status  int               `json:"statusCode"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
}

func respond(status int, body any) ([]byte, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	return json.Marshal(response{status, map[string]string{"content-type": "application/json"}, string(text)})
}

// sorry answers what the caller did wrong, in one sentence.
func sorry(why error) ([]byte, error) {
	return respond(400, map[string]string{"error": why.Error()})
}

// complete gives an event an id and a time where its sender gave none.
func complete(id *string, at *time.Time, p Place) error {
	if at.IsZero() {
		*at = p.Now().UTC()
	}
	if *id != "" {
		return nil
	}
	var raw [12]byte
	if _, err := rand.Read(raw[:]); err != nil {
		return fmt.Errorf("no random numbers: %w", err)
	}
	*id = hex.EncodeToString(raw[:])
	return nil
}
