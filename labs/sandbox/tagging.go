package sandbox

func newTagging(r *Region) {}
