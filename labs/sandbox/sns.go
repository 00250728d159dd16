package sandbox

func newSNS(r *Region) {}
