package cloud

// Operation is one AWS operation that kxops calls.
type Operation struct {
	Level   Level
	Service string // the SDK's service id
	Name    string // the operation's name in the SDK
	// Action is the IAM action that allows it: not always the operation's name.
	// "" where AWS needs no permission.
	Action string
	// Resource is what the IAM policy has to name, with ACCOUNT as placeholder;
	// "*" where the action has no resource type. Source: the service
	// authorization reference, one page a service.
	Resource string
}

const (
	anything    = "*"
	anyStream   = "arn:aws:kinesis:*:ACCOUNT:stream/*"
	anyDelivery = "arn:aws:firehose:*:ACCOUNT:deliverystream/*"
	anyQueue    = "arn:aws:sqs:*:ACCOUNT:*"
	anyTopic    = "arn:aws:sns:*:ACCOUNT:*"
	anyBus      = "arn:aws:events:*:ACCOUNT:event-bus/*"
	anyRule     = "arn:aws:events:*:ACCOUNT:rule/*"
	anyEvents   = "arn:aws:events:*:ACCOUNT:archive/*"
	anyReplay   = "arn:aws:events:*:ACCOUNT:replay/*"
	anyFunction = "arn:aws:lambda:*:ACCOUNT:function:*"
	anyAPI      = "arn:aws:apigateway:*::/apis*" // no account in it
	anyBucket   = "arn:aws:s3:::*"
	anyObject   = "arn:aws:s3:::*/*"
	anyCatalog  = "arn:aws:glue:*:ACCOUNT:*" // the catalog, its databases and its tables
	anyGroup    = "arn:aws:athena:*:ACCOUNT:workgroup/*"
	ourAlarm    = "arn:aws:cloudwatch:*:ACCOUNT:alarm:kxops*"
	anyAlarm    = "arn:aws:cloudwatch:*:ACCOUNT:alarm:*"
	// A mute needs the permission for the rule and for each alarm that it mutes.
	muteOrAlarm = "arn:aws:cloudwatch:*:ACCOUNT:alarm*"
	anyMute     = "arn:aws:cloudwatch:*:ACCOUNT:alarm-mute-rule:*"
)

// Operations is THE list: an operation that is not here is refused at every
// level. A new AWS call is one line here, one method where it is needed and one
// case in the conformance suite; tests fail when one of the three is missing.
// Nothing is listed ahead of its use: the least IAM policy is made from this list.
//
// DescribeAlarms has a resource type, but answers composite alarms only for "*".
var Operations = []Operation{
	{Look, "STS", "GetCallerIdentity", "", anything},

	{Look, "Kinesis", "ListStreams", "kinesis:ListStreams", anything},
	{Look, "Kinesis", "DescribeStreamSummary", "kinesis:DescribeStreamSummary", anyStream},
	{Look, "Kinesis", "ListStreamConsumers", "kinesis:ListStreamConsumers", anyStream},
	{Look, "Kinesis", "ListChannels", "kinesis:ListChannels", anything},
	{Look, "Kinesis", "DescribeChannel", "kinesis:DescribeChannel", anything},
	{Look, "Kinesis", "ListShards", "kinesis:ListShards", anyStream},

	{Look, "Firehose", "ListDeliveryStreams", "firehose:ListDeliveryStreams", anything},
	{Look, "Firehose", "DescribeDeliveryStream", "firehose:DescribeDeliveryStream", anyDelivery},

	{Look, "SQS", "ListQueues", "sqs:ListQueues", anything},
	{Look, "SQS", "GetQueueUrl", "sqs:GetQueueUrl", anyQueue},
	{Look, "SQS", "GetQueueAttributes", "sqs:GetQueueAttributes", anyQueue},
	{Look, "SQS", "ListDeadLetterSourceQueues", "sqs:ListDeadLetterSourceQueues", anyQueue},
	{Look, "SQS", "ListMessageMoveTasks", "sqs:ListMessageMoveTasks", anyQueue},

	{Look, "SNS", "ListTopics", "sns:ListTopics", anything},
	{Look, "SNS", "GetTopicAttributes", "sns:GetTopicAttributes", anyTopic},
	{Look, "SNS", "ListSubscriptions", "sns:ListSubscriptions", anything},
	{Look, "SNS", "GetSubscriptionAttributes", "sns:GetSubscriptionAttributes", anything},
	{Look, "SNS", "ListSubscriptionsByTopic", "sns:ListSubscriptionsByTopic", anyTopic},

	{Look, "EventBridge", "DescribeEventBus", "events:DescribeEventBus", anyBus},
	{Look, "EventBridge", "ListRules", "events:ListRules", anyRule},
	{Look, "EventBridge", "ListTargetsByRule", "events:ListTargetsByRule", anyRule},
	{Look, "EventBridge", "DescribeArchive", "events:DescribeArchive", anyEvents},
	{Look, "EventBridge", "ListArchives", "events:ListArchives", anyEvents},
	{Look, "EventBridge", "DescribeReplay", "events:DescribeReplay", anyReplay},
	{Look, "EventBridge", "ListReplays", "events:ListReplays", anyReplay},

	{Look, "Lambda", "ListFunctions", "lambda:ListFunctions", anything},
	{Look, "Lambda", "ListEventSourceMappings", "lambda:ListEventSourceMappings", anything},
	{Look, "Lambda", "GetFunctionConfiguration", "lambda:GetFunctionConfiguration", anyFunction},
	{Look, "Lambda", "GetFunctionConcurrency", "lambda:GetFunctionConcurrency", anyFunction},
	{Look, "Lambda", "GetAccountSettings", "lambda:GetAccountSettings", anything},
	{Look, "Lambda", "GetFunctionEventInvokeConfig", "lambda:GetFunctionEventInvokeConfig", anyFunction},

	{Look, "S3", "GetBucketNotificationConfiguration", "s3:GetBucketNotification", anyBucket},
	{Look, "S3", "ListBucketMetricsConfigurations", "s3:GetMetricsConfiguration", anyBucket},
	{Look, "S3", "GetBucketReplication", "s3:GetReplicationConfiguration", anyBucket},
	{Look, "S3", "ListObjectsV2", "s3:ListBucket", anyBucket},

	{Look, "ApiGatewayV2", "GetApis", "apigateway:GET", anyAPI},
	{Look, "ApiGatewayV2", "GetStages", "apigateway:GET", anyAPI},
	{Look, "ApiGatewayV2", "GetIntegrations", "apigateway:GET", anyAPI},

	{Look, "CloudWatch", "ListMetrics", "cloudwatch:ListMetrics", anything},
	{Look, "CloudWatch", "GetMetricData", "cloudwatch:GetMetricData", anything},
	{Look, "CloudWatch", "DescribeAlarms", "cloudwatch:DescribeAlarms", anything},
	{Look, "CloudWatch", "ListTagsForResource", "cloudwatch:ListTagsForResource", anyAlarm},
	{Look, "CloudWatch", "DescribeAlarmHistory", "cloudwatch:DescribeAlarmHistory", anything},
	{Look, "CloudWatch", "ListAlarmMuteRules", "cloudwatch:ListAlarmMuteRules", anything},
	{Look, "CloudWatch", "GetAlarmMuteRule", "cloudwatch:GetAlarmMuteRule", anyMute},

	{Look, "Resource Groups Tagging API", "GetResources", "tag:GetResources", anything},

	// Reading records leaves the stream as it is, but it takes from the 5 reads and
	// 2 MiB a second that all pollers of the shard share, and it shows in the metric
	// GetRecords.IteratorAgeMilliseconds that alarms watch. So it is no mere look.
	{Look, "Kinesis", "DescribeStreamConsumer", "kinesis:DescribeStreamConsumer", anyStream},
	{Peek, "Kinesis", "SubscribeToShard", "kinesis:SubscribeToShard", anyStream},
	{Peek, "Kinesis", "GetShardIterator", "kinesis:GetShardIterator", anyStream},
	{Peek, "Kinesis", "GetRecords", "kinesis:GetRecords", anyStream},

	// HeadObject reads no content, but IAM knows only one action for both: a role
	// that may only look must not be able to read every object.
	{Peek, "S3", "HeadObject", "s3:GetObject", anyObject},
	{Peek, "S3", "GetObject", "s3:GetObject", anyObject},

	// A query reads objects, and what it scans is billed by the byte.
	{Look, "Athena", "GetWorkGroup", "athena:GetWorkGroup", anyGroup},
	{Look, "Athena", "ListWorkGroups", "athena:ListWorkGroups", "*"},
	// What somebody asked may name customers: it is no mere look.
	{Peek, "Athena", "ListQueryExecutions", "athena:ListQueryExecutions", anyGroup},
	{Peek, "Athena", "BatchGetQueryExecution", "athena:BatchGetQueryExecution", anyGroup},
	{Peek, "Athena", "StartQueryExecution", "athena:StartQueryExecution", anyGroup},
	{Peek, "Athena", "GetQueryExecution", "athena:GetQueryExecution", anyGroup},
	{Peek, "Athena", "GetQueryResults", "athena:GetQueryResults", anyGroup},
	{Peek, "Athena", "StopQueryExecution", "athena:StopQueryExecution", anyGroup},

	{Peek, "SQS", "ReceiveMessage", "sqs:ReceiveMessage", anyQueue},
	// A batch operation of SQS has no IAM action of its own: the single one's counts.
	{Peek, "SQS", "ChangeMessageVisibilityBatch", "sqs:ChangeMessageVisibility", anyQueue},

	{Change, "SQS", "SendMessageBatch", "sqs:SendMessage", anyQueue},
	{Change, "SQS", "DeleteMessageBatch", "sqs:DeleteMessage", anyQueue},
	{Change, "SQS", "StartMessageMoveTask", "sqs:StartMessageMoveTask", anyQueue},
	{Change, "SQS", "CancelMessageMoveTask", "sqs:CancelMessageMoveTask", anyQueue},
	{Change, "SQS", "SetQueueAttributes", "sqs:SetQueueAttributes", anyQueue},
	{Change, "EventBridge", "StartReplay", "events:StartReplay", anyEvents},
	{Change, "EventBridge", "CancelReplay", "events:CancelReplay", anyReplay},
	{Change, "EventBridge", "PutEvents", "events:PutEvents", anyBus},
	{Change, "Lambda", "Invoke", "lambda:InvokeFunction", anyFunction},
	{Change, "SNS", "PublishBatch", "sns:Publish", anyTopic},
	{Change, "Kinesis", "RegisterStreamConsumer", "kinesis:RegisterStreamConsumer", anyStream},
	{Change, "Kinesis", "DeregisterStreamConsumer", "kinesis:DeregisterStreamConsumer", anyStream},
	{Change, "Kinesis", "PutRecords", "kinesis:PutRecords", anyStream},
	// A temporary copy of an archived object: it is billed, and nothing is lost by it.
	{Change, "S3", "RestoreObject", "s3:RestoreObject", anyObject},
	{Change, "Firehose", "PutRecordBatch", "firehose:PutRecordBatch", anyDelivery},

	{Change, "CloudWatch", "PutMetricAlarm", "cloudwatch:PutMetricAlarm", ourAlarm},
	{Change, "CloudWatch", "DeleteAlarms", "cloudwatch:DeleteAlarms", ourAlarm},
	{Change, "CloudWatch", "EnableAlarmActions", "cloudwatch:EnableAlarmActions", ourAlarm},
	{Change, "CloudWatch", "TagResource", "cloudwatch:TagResource", ourAlarm},
	{Change, "SNS", "CreateTopic", "sns:CreateTopic", anyTopic},
	{Change, "SNS", "SetTopicAttributes", "sns:SetTopicAttributes", anyTopic},
	{Change, "CloudWatch", "SetAlarmState", "cloudwatch:SetAlarmState", anyAlarm},
	{Change, "CloudWatch", "PutAlarmMuteRule", "cloudwatch:PutAlarmMuteRule", muteOrAlarm},
	{Change, "CloudWatch", "DeleteAlarmMuteRule", "cloudwatch:DeleteAlarmMuteRule", muteOrAlarm},
}

// Borrowed are actions that a service takes with the rights of its caller: without them
// the call is allowed, and its work fails. Name is the operation that needs them.
//
// Athena also writes its results with s3:PutObject. That is not listed: into which bucket
// a session that may only peek can write is for its owner to say.
var Borrowed = []Operation{
	{Peek, "Athena", "StartQueryExecution", "glue:GetDatabase", anyCatalog},
	{Peek, "Athena", "StartQueryExecution", "glue:GetTable", anyCatalog},
	{Peek, "Athena", "StartQueryExecution", "glue:GetPartitions", anyCatalog},
	{Peek, "Athena", "StartQueryExecution", "s3:GetBucketLocation", anyBucket},
}

type operationKey struct{ service, name string }

var listed, listedForLabs = byKey(Operations), byKey(LabOperations)

func byKey(list []Operation) map[operationKey]Operation {
	m := make(map[operationKey]Operation, len(list))
	for _, o := range list {
		m[operationKey{o.Service, o.Name}] = o
	}
	return m
}

// OperationOf finds an operation by the SDK's service id and operation name.
func OperationOf(service, name string) (Operation, bool) {
	o, ok := listed[operationKey{service, name}]
	return o, ok
}
