package cloud

import (
	"os"
	"testing"
)

func TestInside(t *testing.T) {
	for name, c := range map[string]struct {
		env    map[string]string
		vendor string
		want   bool
	}{
		"a laptop":          {nil, "LENOVO\n", false},
		"no such file":      {nil, "", false},
		"EC2":               {nil, "Amazon EC2\n", true},
		"CloudShell":        {map[string]string{"AWS_EXECUTION_ENV": "CloudShell"}, "", true},
		"Lambda":            {map[string]string{"AWS_LAMBDA_FUNCTION_NAME": "f"}, "", true},
		"Fargate":           {map[string]string{"ECS_CONTAINER_METADATA_URI_V4": "http://169.254.170.2/v4/x"}, "", true},
		"only a region set": {map[string]string{"AWS_REGION": "eu-west-1"}, "QEMU", false},
	} {
		got := inside(func(n string) string { return c.env[n] }, func(string) ([]byte, error) {
			if c.vendor == "" {
				return nil, os.ErrNotExist
			}
			return []byte(c.vendor), nil
		})
		if got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
