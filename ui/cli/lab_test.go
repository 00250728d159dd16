package cli

import "testing"

func TestWhatIsOnThisMachine(t *testing.T) {
	for endpoint, want := range map[string]bool{
		"http://127.0.0.1:4566": true, "http://[::1]:4566/": true, "https://localhost": true, "http://127.3.4.5": true,
		"": false, "http://10.0.0.1:4566": false, "https://localhost.example.com": false, "http://127.0.0.1.example.com:80": false, "https://sqs.eu-west-1.amazonaws.com": false,
	} {
		if got := onThisMachine(endpoint); got != want {
			t.Errorf("%q: %v, want %v", endpoint, got, want)
		}
	}
}
