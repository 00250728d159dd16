package sandbox

func newCloudWatch(r *Region) {}
