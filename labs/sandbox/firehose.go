package sandbox

func newFirehose(r *Region) {}
