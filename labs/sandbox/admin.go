package sandbox

import (
	"crypto/subtle"
	"encoding/json"
	"net/http"
	"strings"
)

// serveAdmin answers the path that is not AWS: faults and the bill. It needs the
// token that was printed at start, because any local program can reach the port.
//
//	GET    /_kxops/faults   the rules in force
//	PUT    /_kxops/faults   replaces them (a JSON list of Fault)
//	GET    /_kxops/bill     what the calls so far would have cost
func (sb *Sandbox) serveAdmin(w http.ResponseWriter, req *http.Request) {
	given := strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer ")
	if subtle.ConstantTimeCompare([]byte(given), []byte(sb.token)) != 1 {
		http.Error(w, "the admin path needs the token that the sandbox printed at start", http.StatusUnauthorized)
		return
	}
	switch req.Method + " " + strings.TrimPrefix(req.URL.Path, adminPath) {
	case "GET faults":
		answerJSON(w, sb.Faults())
	case "PUT faults":
		var rules []Fault
		d := json.NewDecoder(http.MaxBytesReader(w, req.Body, 1<<20))
		d.DisallowUnknownFields()
		if err := d.Decode(&rules); err != nil {
			http.Error(w, "the body is no list of faults: "+err.Error(), http.StatusBadRequest)
			return
		}
		for _, f := range rules {
			if err := f.Check(); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
		}
		sb.SetFaults(rules...)
		answerJSON(w, rules)
	case "GET bill":
		answerJSON(w, sb.Bill())
	default:
		http.Error(w, "the admin path has faults (GET, PUT) and bill (GET)", http.StatusNotFound)
	}
}

func answerJSON(w http.ResponseWriter, v any) {
	body, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	write(w, append(body, '\n'))
}
