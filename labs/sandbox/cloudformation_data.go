package sandbox

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamo "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// dataKinds are the resource types of keys, tables and alarms.
var dataKinds = map[string]resourceKind{
	"AWS::KMS::Key": {
		properties: []string{"Description", "KeyPolicy", "EnableKeyRotation", "PendingWindowInDays", "Tags"},
		create: func(m *maker, p properties) (made, error) {
			in := &createKeyInput{Description: aws.String(p.text("Description"))}
			if p["KeyPolicy"] != nil {
				text, err := p.document("KeyPolicy")
				if err != nil {
					return made{}, err
				}
				in.Policy = &text
			}
			got, err := ask[keyOutput](m.r, "kms", "CreateKey", in)
			if err != nil {
				return made{}, err
			}
			got.KeyMetadata.rotates = p.yes("EnableKeyRotation")
			return made{physical: got.KeyMetadata.KeyId, attributes: map[string]any{"Arn": got.KeyMetadata.Arn, "KeyId": got.KeyMetadata.KeyId}}, nil
		},
		update: func(m *maker, have *made, _, p properties) error {
			text, err := p.document("KeyPolicy")
			if err != nil {
				return err
			}
			_, err = ask[noAnswer](m.r, "kms", "PutKeyPolicy", &policyInput{KeyId: &have.physical, Policy: &text})
			return err
		},
		remove: func(m *maker, have made, p properties) error {
			in := &doomInput{KeyId: &have.physical}
			if n, ok := asNumber(p.text("PendingWindowInDays")); ok && p.text("PendingWindowInDays") != "" {
				in.PendingWindowInDays = aws.Int32(int32(n))
			}
			_, err := ask[doomOutput](m.r, "kms", "ScheduleKeyDeletion", in)
			return err
		},
	},
	"AWS::KMS::Alias": {
		properties: []string{"AliasName", "TargetKeyId"},
		create: func(m *maker, p properties) (made, error) {
			_, err := ask[noAnswer](m.r, "kms", "CreateAlias", &aliasInput{AliasName: aws.String(p.text("AliasName")), TargetKeyId: aws.String(p.text("TargetKeyId"))})
			return made{physical: p.text("AliasName")}, err
		},
		remove: func(m *maker, have made, _ properties) error {
			_, err := ask[noAnswer](m.r, "kms", "DeleteAlias", &aliasInput{AliasName: &have.physical})
			return err
		},
	},
	"AWS::DynamoDB::Table": {
		properties: []string{"TableName", "AttributeDefinitions", "KeySchema", "BillingMode", "GlobalSecondaryIndexes", "PointInTimeRecoverySpecification",
			"TimeToLiveSpecification", "Tags"},
		replaceOn: []string{"TableName", "AttributeDefinitions", "KeySchema", "BillingMode", "GlobalSecondaryIndexes", "TimeToLiveSpecification"},
		create:    createTableKind,
		update: func(m *maker, have *made, _, p properties) error {
			return recoverable(m, have.physical, p)
		},
		remove: func(m *maker, have made, _ properties) error {
			_, err := ask[dynamodb.DeleteTableOutput](m.r, "dynamodb", "DeleteTable", &dynamodb.DeleteTableInput{TableName: &have.physical})
			return err
		},
		settle: func(m *maker, have made, p properties) (bool, error) {
			got, err := ask[dynamodb.DescribeTableOutput](m.r, "dynamodb", "DescribeTable", &dynamodb.DescribeTableInput{TableName: &have.physical})
			if err != nil || got.Table.TableStatus != dynamo.TableStatusActive {
				return false, err
			}
			return true, recoverable(m, have.physical, p)
		},
	},
	"AWS::CloudWatch::Alarm": {
		properties: []string{"AlarmName", "AlarmDescription", "Namespace", "MetricName", "Dimensions", "Statistic", "ExtendedStatistic", "Period", "EvaluationPeriods",
			"DatapointsToAlarm", "Threshold", "ComparisonOperator", "TreatMissingData", "AlarmActions", "OKActions", "InsufficientDataActions", "ActionsEnabled", "Metrics", "Unit", "Tags"},
		replaceOn: []string{"AlarmName"},
		create: func(m *maker, p properties) (made, error) {
			name := m.name(p.text("AlarmName"), 255)
			return made{physical: name, attributes: map[string]any{"Arn": string(m.r.arn("cloudwatch", "alarm:"+name))}}, putAlarmKind(m, name, p)
		},
		update: func(m *maker, have *made, _, p properties) error { return putAlarmKind(m, have.physical, p) },
		remove: func(m *maker, have made, _ properties) error {
			_, err := ask[cloudwatch.DeleteAlarmsOutput](m.r, "cloudwatch", "DeleteAlarms", &cloudwatch.DeleteAlarmsInput{AlarmNames: []string{have.physical}})
			return err
		},
	},
}

func putAlarmKind(m *maker, name string, p properties) error {
	in := &cloudwatch.PutMetricAlarmInput{AlarmName: &name}
	if err := p.into(in, "AlarmName", "Tags"); err != nil {
		return err
	}
	labels := m.labels(p)
	for _, k := range sortedNames(labels) {
		in.Tags = append(in.Tags, cwtypes.Tag{Key: aws.String(k), Value: aws.String(labels[k])})
	}
	_, err := ask[cloudwatch.PutMetricAlarmOutput](m.r, "cloudwatch", "PutMetricAlarm", in)
	return err
}

func createTableKind(m *maker, p properties) (made, error) {
	name := m.name(p.text("TableName"), 255)
	in := &dynamodb.CreateTableInput{TableName: &name}
	if err := p.into(in, "TableName", "PointInTimeRecoverySpecification", "TimeToLiveSpecification", "Tags"); err != nil {
		return made{}, err
	}
	labels := m.labels(p)
	for _, k := range sortedNames(labels) {
		in.Tags = append(in.Tags, dynamo.Tag{Key: aws.String(k), Value: aws.String(labels[k])})
	}
	got, err := ask[dynamodb.CreateTableOutput](m.r, "dynamodb", "CreateTable", in)
	if err != nil {
		return made{}, err
	}
	return made{physical: name, attributes: map[string]any{"Arn": aws.ToString(got.TableDescription.TableArn)}}, nil
}

// recoverable sets what a table can only have when it is active.
func recoverable(m *maker, table string, p properties) error {
	if ttl := p.object("TimeToLiveSpecification"); ttl != nil {
		now, err := ask[dynamodb.DescribeTimeToLiveOutput](m.r, "dynamodb", "DescribeTimeToLive", &dynamodb.DescribeTimeToLiveInput{TableName: &table})
		if err != nil {
			return err
		}
		if on := now.TimeToLiveDescription.TimeToLiveStatus == dynamo.TimeToLiveStatusEnabled; on != ttl.yes("Enabled") {
			in := &dynamodb.UpdateTimeToLiveInput{TableName: &table, TimeToLiveSpecification: &dynamo.TimeToLiveSpecification{
				AttributeName: aws.String(ttl.text("AttributeName")), Enabled: aws.Bool(ttl.yes("Enabled"))}}
			if _, err := ask[dynamodb.UpdateTimeToLiveOutput](m.r, "dynamodb", "UpdateTimeToLive", in); err != nil {
				return err
			}
		}
	}
	spec := p.object("PointInTimeRecoverySpecification")
	if spec == nil {
		return nil
	}
	in := &dynamodb.UpdateContinuousBackupsInput{TableName: &table, PointInTimeRecoverySpecification: &dynamo.PointInTimeRecoverySpecification{
		PointInTimeRecoveryEnabled: aws.Bool(spec.yes("PointInTimeRecoveryEnabled"))}}
	_, err := ask[dynamodb.UpdateContinuousBackupsOutput](m.r, "dynamodb", "UpdateContinuousBackups", in)
	return err
}
