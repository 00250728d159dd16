package sandbox

// doorKinds are the resource types of HTTP APIs.
var doorKinds = map[string]resourceKind{
	"AWS::ApiGatewayV2::Api": {
		properties: []string{"Name", "ProtocolType", "Description", "CorsConfiguration", "Tags"},
		create: func(m *maker, p properties) (made, error) {
			in := &apiInput{Name: p.text("Name"), ProtocolType: p.text("ProtocolType"), Description: p.text("Description"), Tags: m.labels(p)}
			if c := p.object("CorsConfiguration"); c != nil {
				in.CorsConfiguration = &corsRules{Origins: c.texts("AllowOrigins"), Methods: c.texts("AllowMethods"), Headers: c.texts("AllowHeaders")}
				for _, k := range sortedNames(c) {
					if k != "AllowOrigins" && k != "AllowMethods" && k != "AllowHeaders" {
						return made{}, fail("ValidationError", "Properties validation failed: #/CorsConfiguration: the sandbox does not support [%s]", k)
					}
				}
			}
			got, err := m.r.doors.create(in)
			if err != nil {
				return made{}, err
			}
			a := got.(*httpAPI)
			return made{physical: a.ID, attributes: map[string]any{"ApiEndpoint": a.Endpoint, "ApiId": a.ID}}, nil
		},
		remove: func(m *maker, have made, _ properties) error {
			_, err := m.r.doors.remove(&apiInput{API: have.physical})
			return err
		},
	},
	"AWS::ApiGatewayV2::Integration": {
		properties: []string{"ApiId", "IntegrationType", "IntegrationUri", "IntegrationMethod", "PayloadFormatVersion", "TimeoutInMillis"},
		create: func(m *maker, p properties) (made, error) {
			in := &apiInput{API: p.text("ApiId"), IntegrationType: p.text("IntegrationType"), IntegrationURI: p.text("IntegrationUri"), PayloadFormatVersion: p.text("PayloadFormatVersion")}
			if n, ok := asNumber(p.text("TimeoutInMillis")); ok && p.text("TimeoutInMillis") != "" {
				in.TimeoutInMillis = int(n)
			}
			got, err := m.r.doors.createIntegration(in)
			if err != nil {
				return made{}, err
			}
			return made{physical: got.(*apiIntegration).ID}, nil
		},
		remove: func(m *maker, have made, p properties) error {
			_, err := m.r.doors.removeIntegration(&apiInput{API: p.text("ApiId"), Integration: have.physical})
			return err
		},
	},
	"AWS::ApiGatewayV2::Route": {
		properties: []string{"ApiId", "RouteKey", "Target", "AuthorizationType"},
		create: func(m *maker, p properties) (made, error) {
			got, err := m.r.doors.createRoute(&apiInput{API: p.text("ApiId"), RouteKey: p.text("RouteKey"), Target: p.text("Target"), AuthorizationType: p.text("AuthorizationType")})
			if err != nil {
				return made{}, err
			}
			return made{physical: got.(*apiRoute).ID}, nil
		},
		remove: func(m *maker, have made, p properties) error {
			_, err := m.r.doors.removeRoute(&apiInput{API: p.text("ApiId"), Route: have.physical})
			return err
		},
	},
	"AWS::ApiGatewayV2::Stage": {
		properties: []string{"ApiId", "StageName", "AutoDeploy", "DefaultRouteSettings", "Tags"},
		create: func(m *maker, p properties) (made, error) {
			in := &apiInput{API: p.text("ApiId"), StageName: p.text("StageName"), AutoDeploy: p.yes("AutoDeploy"), Tags: m.labels(p)}
			if l := p.object("DefaultRouteSettings"); l != nil {
				in.DefaultRouteSettings = &apiLimits{}
				for _, k := range sortedNames(l) {
					n, _ := asNumber(l.text(k))
					switch k {
					case "ThrottlingRateLimit":
						in.DefaultRouteSettings.Rate = n
					case "ThrottlingBurstLimit":
						in.DefaultRouteSettings.Burst = int(n)
					case "DetailedMetricsEnabled":
						in.DefaultRouteSettings.Detailed = l.yes(k)
					default:
						return made{}, fail("ValidationError", "Properties validation failed: #/DefaultRouteSettings: the sandbox does not support [%s]", k)
					}
				}
			}
			got, err := m.r.doors.createStage(in)
			if err != nil {
				return made{}, err
			}
			return made{physical: got.(*apiStage).Name}, nil
		},
		remove: func(m *maker, have made, p properties) error {
			_, err := m.r.doors.removeStage(&apiInput{API: p.text("ApiId"), Stage: have.physical})
			return err
		},
	},
}

// accessKinds are the resource types of IAM and of logs.
var accessKinds = map[string]resourceKind{
	"AWS::IAM::Role": {
		properties: []string{"RoleName", "AssumeRolePolicyDocument", "Policies", "ManagedPolicyArns", "Path", "Description", "Tags"},
		replaceOn:  []string{"RoleName", "Path"},
		create:     createRoleKind,
		update:     updateRoleKind,
		remove: func(m *maker, have made, p properties) error {
			if err := stripRole(m, have.physical); err != nil {
				return err
			}
			return m.r.sb.iam.drop(have.physical)
		},
	},
	// The sandbox writes no logs: a group is a name that others may refer to.
	"AWS::Logs::LogGroup": {
		properties: []string{"LogGroupName", "RetentionInDays", "Tags"},
		replaceOn:  []string{"LogGroupName"},
		create: func(m *maker, p properties) (made, error) {
			name := m.name(p.text("LogGroupName"), 512)
			return made{physical: name, attributes: map[string]any{"Arn": string(m.r.arn("logs", "log-group:"+name+":*"))}}, nil
		},
		update: func(*maker, *made, properties, properties) error { return nil },
		remove: func(*maker, made, properties) error { return nil },
	},
	"AWS::Logs::LogStream": {
		properties: []string{"LogGroupName", "LogStreamName"},
		create: func(m *maker, p properties) (made, error) {
			return made{physical: m.name(p.text("LogStreamName"), 512)}, nil
		},
		remove: func(*maker, made, properties) error { return nil },
	},
}
