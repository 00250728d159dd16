package cloud

import (
	"os"
	"strings"
)

// Inside reports whether this program runs on a computer of AWS, by what these say of
// themselves: data that is read there does not leave AWS. In doubt it does.
func Inside() bool {
	return inside(os.Getenv, os.ReadFile)
}

func inside(env func(string) string, read func(string) ([]byte, error)) bool {
	// Lambda and CloudShell; ECS and Fargate. Sources: Lambda Developer Guide, "Defined
	// runtime environment variables"; ECS Developer Guide, "Task metadata endpoint".
	for _, name := range []string{"AWS_LAMBDA_FUNCTION_NAME", "AWS_EXECUTION_ENV", "ECS_CONTAINER_METADATA_URI_V4"} {
		if env(name) != "" {
			return true
		}
	}
	// EC2. Source: EC2 User Guide, "Identify EC2 Linux instances". Where it is not Linux
	// there is no such file.
	vendor, err := read("/sys/class/dmi/id/sys_vendor")
	return err == nil && strings.TrimSpace(string(vendor)) == "Amazon EC2"
}
