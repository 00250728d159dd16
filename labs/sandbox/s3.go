package sandbox

func newS3(r *Region) {}
