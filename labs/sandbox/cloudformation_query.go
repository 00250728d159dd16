package sandbox

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
)

// queryKinds are the resource types of the Glue catalog and of Athena.
var queryKinds = map[string]resourceKind{
	"AWS::Glue::Database": {
		properties: []string{"CatalogId", "DatabaseInput"},
		create: func(m *maker, p properties) (made, error) {
			in := p.object("DatabaseInput")
			if in.text("Name") == "" {
				in["Name"] = m.name("", 200)
			}
			_, err := askTree(m.r, "glue", "CreateDatabase", map[string]any{"DatabaseInput": map[string]any(in)})
			return made{physical: in.text("Name")}, err
		},
		remove: func(m *maker, have made, _ properties) error {
			_, err := askTree(m.r, "glue", "DeleteDatabase", map[string]any{"Name": have.physical})
			return err
		},
	},
	"AWS::Glue::Table": {
		properties: []string{"CatalogId", "DatabaseName", "TableInput"},
		replaceOn:  []string{"DatabaseName"},
		create: func(m *maker, p properties) (made, error) {
			_, err := askTree(m.r, "glue", "CreateTable", map[string]any{"DatabaseName": p["DatabaseName"], "TableInput": p["TableInput"]})
			return made{physical: p.object("TableInput").text("Name")}, err
		},
		update: func(m *maker, _ *made, _, p properties) error {
			_, err := askTree(m.r, "glue", "UpdateTable", map[string]any{"DatabaseName": p["DatabaseName"], "TableInput": p["TableInput"]})
			return err
		},
		remove: func(m *maker, have made, p properties) error {
			_, err := askTree(m.r, "glue", "DeleteTable", map[string]any{"DatabaseName": p["DatabaseName"], "Name": have.physical})
			return err
		},
	},
	"AWS::Athena::WorkGroup": {
		properties: []string{"Name", "Description", "WorkGroupConfiguration", "RecursiveDeleteOption", "State", "Tags"},
		create: func(m *maker, p properties) (made, error) {
			in := map[string]any{"Name": p["Name"], "Configuration": p["WorkGroupConfiguration"]}
			if p["Description"] != nil {
				in["Description"] = p["Description"]
			}
			_, err := askTree(m.r, "athena", "CreateWorkGroup", in)
			return made{physical: p.text("Name")}, err
		},
		remove: func(m *maker, have made, p properties) error {
			_, err := askTree(m.r, "athena", "DeleteWorkGroup", map[string]any{"WorkGroup": have.physical, "RecursiveDeleteOption": p.yes("RecursiveDeleteOption")})
			return err
		},
	},
}

// askTree runs an operation with an input given as a tree.
func askTree(r *Region, service, operation string, tree map[string]any) (any, error) {
	op, ok := r.operations[service+"."+operation]
	if !ok {
		return nil, fmt.Errorf("the sandbox has no %s of %s", operation, service)
	}
	text, err := json.Marshal(tree)
	if err != nil {
		return nil, err
	}
	n, err := treeOfJSON(text)
	if err != nil {
		return nil, err
	}
	if err := onlyMembers(op.input, n, ""); err != nil {
		return nil, err
	}
	in := reflect.New(op.input)
	if err := decode(in.Elem(), texted(op.input, n), operation); err != nil {
		return nil, fail("ValidationError", "%v", err)
	}
	return r.runInside(context.Background(), op, in.Interface())
}
