package sandbox

func newLambda(r *Region) {}
