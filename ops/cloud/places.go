package cloud

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/config"
)

var wellFormedRegion = regexp.MustCompile(`^[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}$`)

// Region is one AWS region.
type Region struct {
	Name  string
	Place string
}

// Regions lists the regions by name. Source: the SDK's endpoint partitions and
// https://docs.aws.amazon.com/global-infrastructure/latest/regions/aws-regions.html
// (2026-11). The list only helps to choose and to correct typing errors: a region
// that is not in it can be opened all the same.
func Regions() []Region {
	return slices.Clone(regions)
}

var regions = []Region{
	{"af-south-1", "Cape Town"},
	{"ap-east-1", "Hong Kong"},
	{"ap-east-2", "Taipei"},
	{"ap-northeast-1", "Tokyo"},
	{"ap-northeast-2", "Seoul"},
	{"ap-northeast-3", "Osaka"},
	{"ap-south-1", "Mumbai"},
	{"ap-south-2", "Hyderabad"},
	{"ap-southeast-1", "Singapore"},
	{"ap-southeast-2", "Sydney"},
	{"ap-southeast-3", "Jakarta"},
	{"ap-southeast-4", "Melbourne"},
	{"ap-southeast-5", "Malaysia"},
	{"ap-southeast-6", "New Zealand"},
	{"ap-southeast-7", "Thailand"},
	{"ca-central-1", "Central Canada"},
	{"ca-west-1", "Calgary"},
	{"cn-north-1", "Beijing"},
	{"cn-northwest-1", "Ningxia"},
	{"eu-central-1", "Frankfurt"},
	{"eu-central-2", "Zurich"},
	{"eu-north-1", "Stockholm"},
	{"eu-south-1", "Milan"},
	{"eu-south-2", "Spain"},
	{"eu-west-1", "Ireland"},
	{"eu-west-2", "London"},
	{"eu-west-3", "Paris"},
	{"eusc-de-east-1", "European Sovereign Cloud, Germany"},
	{"il-central-1", "Tel Aviv"},
	{"me-central-1", "UAE"},
	{"me-south-1", "Bahrain"},
	{"mx-central-1", "Mexico"},
	{"sa-east-1", "Sao Paulo"},
	{"us-east-1", "N. Virginia"},
	{"us-east-2", "Ohio"},
	{"us-gov-east-1", "GovCloud East"},
	{"us-gov-west-1", "GovCloud West"},
	{"us-west-1", "N. California"},
	{"us-west-2", "Oregon"},
}

func regionNames() []string {
	names := make([]string, len(regions))
	for i, r := range regions {
		names[i] = r.Name
	}
	return names
}

func knownRegion(name string) bool {
	return slices.ContainsFunc(regions, func(r Region) bool { return r.Name == name })
}

// Profiles lists the profiles of the shared AWS config and credentials files,
// sorted, without reading anything but their names. A file that does not exist
// is no error: there are no profiles then.
func Profiles() ([]string, error) {
	configFile, credentialsFile := sharedFiles()
	var names []string
	for _, f := range []struct {
		path     string
		isConfig bool
	}{{configFile, true}, {credentialsFile, false}} {
		found, err := profilesIn(f.path, f.isConfig)
		if err != nil {
			return nil, err
		}
		names = append(names, found...)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

func sharedFiles() (configFile, credentialsFile string) {
	configFile, credentialsFile = os.Getenv("AWS_CONFIG_FILE"), os.Getenv("AWS_SHARED_CREDENTIALS_FILE")
	if configFile == "" {
		configFile = config.DefaultSharedConfigFilename()
	}
	if credentialsFile == "" {
		credentialsFile = config.DefaultSharedCredentialsFilename()
	}
	return configFile, credentialsFile
}

func profilesIn(path string, isConfig bool) ([]string, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the AWS profiles: %w", err)
	}
	defer f.Close()
	names, err := readProfiles(f, isConfig)
	if err != nil {
		return nil, fmt.Errorf("list the AWS profiles of %s: %w", path, err)
	}
	return names, nil
}

// readProfiles finds the section headers: [default] and [profile x] in the
// config file, [x] in the credentials file.
func readProfiles(r io.Reader, isConfig bool) ([]string, error) {
	var names []string
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		header, ok := strings.CutPrefix(strings.TrimSpace(lines.Text()), "[")
		if !ok {
			continue
		}
		header, _, ok = strings.Cut(header, "]")
		if !ok {
			continue
		}
		if name := profileName(strings.TrimSpace(header), isConfig); name != "" {
			names = append(names, name)
		}
	}
	return names, lines.Err()
}

func profileName(header string, isConfig bool) string {
	if !isConfig || header == "default" {
		return header
	}
	kind, name, _ := strings.Cut(header, " ")
	if kind != "profile" { // sso-session, services …
		return ""
	}
	return strings.Trim(strings.TrimSpace(name), `"'`)
}
