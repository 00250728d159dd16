package sandbox

func newSQS(r *Region) {}
