package sandbox

func newKinesis(r *Region) {}
