package cloud

// LabOperations are what `kxops lab` calls beside Operations. Only a door that was
// opened with Options.Labs lets them through: the console and every other command
// cannot make or delete a stack, and the policy that kxops prints for on-call
// people does not ask for it. A person who deploys a lab needs rights far beyond
// these: CloudFormation makes every resource of the template with theirs.
var LabOperations = []Operation{
	{Look, "CloudFormation", "DescribeStacks", "cloudformation:DescribeStacks", anything},
	{Look, "CloudFormation", "DescribeStackEvents", "cloudformation:DescribeStackEvents", anything},
	{Look, "CloudFormation", "DescribeStackResources", "cloudformation:DescribeStackResources", anything},
	{Look, "CloudFormation", "DescribeChangeSet", "cloudformation:DescribeChangeSet", anything},
	{Look, "DynamoDB", "Scan", "dynamodb:Scan", anything},
	{Look, "DynamoDB", "BatchGetItem", "dynamodb:BatchGetItem", anything},
	{Look, "Lambda", "GetEventSourceMapping", "lambda:GetEventSourceMapping", anything},
	{Look, "IAM", "GetRolePolicy", "iam:GetRolePolicy", anything},
	{Change, "CloudFormation", "CreateChangeSet", "cloudformation:CreateChangeSet", anything},
	{Change, "CloudFormation", "ExecuteChangeSet", "cloudformation:ExecuteChangeSet", anything},
	{Change, "CloudFormation", "DeleteChangeSet", "cloudformation:DeleteChangeSet", anything},
	{Change, "CloudFormation", "DeleteStack", "cloudformation:DeleteStack", anything},
	{Change, "Lambda", "UpdateEventSourceMapping", "lambda:UpdateEventSourceMapping", anything},
	{Change, "Lambda", "UpdateFunctionConfiguration", "lambda:UpdateFunctionConfiguration", anyFunction},
	{Change, "Lambda", "PutFunctionConcurrency", "lambda:PutFunctionConcurrency", anyFunction},
	{Change, "Lambda", "DeleteFunctionConcurrency", "lambda:DeleteFunctionConcurrency", anyFunction},
	{Change, "IAM", "PutRolePolicy", "iam:PutRolePolicy", anything},
	{Change, "IAM", "DeleteRolePolicy", "iam:DeleteRolePolicy", anything},
	{Change, "SNS", "Unsubscribe", "sns:Unsubscribe", anything},
	{Change, "SNS", "Subscribe", "sns:Subscribe", anyTopic},
	{Look, "DynamoDB", "DescribeTable", "dynamodb:DescribeTable", anything},
	{Change, "DynamoDB", "RestoreTableToPointInTime", "dynamodb:RestoreTableToPointInTime", anything},
	{Change, "DynamoDB", "DeleteItem", "dynamodb:DeleteItem", anything},
	{Change, "ApiGatewayV2", "CreateApi", "apigateway:POST", anything},
	{Change, "ApiGatewayV2", "DeleteApi", "apigateway:DELETE", anything},
	{Change, "IAM", "CreateRole", "iam:CreateRole", anything},
	{Change, "IAM", "DeleteRole", "iam:DeleteRole", anything},
	{Change, "Lambda", "CreateFunction", "lambda:CreateFunction", anyFunction},
	{Change, "Lambda", "DeleteFunction", "lambda:DeleteFunction", anyFunction},
	{Change, "Lambda", "AddPermission", "lambda:AddPermission", anyFunction},
	{Change, "Kinesis", "CreateStream", "kinesis:CreateStream", anyStream},
	{Change, "Kinesis", "StartStreamEncryption", "kinesis:StartStreamEncryption", anyStream},
	{Change, "Kinesis", "DeleteStream", "kinesis:DeleteStream", anyStream},
	{Change, "Firehose", "CreateDeliveryStream", "firehose:CreateDeliveryStream", anyDelivery},
	{Change, "Firehose", "DeleteDeliveryStream", "firehose:DeleteDeliveryStream", anyDelivery},
	{Change, "S3", "CreateBucket", "s3:CreateBucket", anyBucket},
	{Change, "S3", "PutObject", "s3:PutObject", anyObject},
	{Change, "S3", "CopyObject", "s3:PutObject", anyObject},
	{Change, "S3", "DeleteObjects", "s3:DeleteObject", anyObject},
	{Change, "S3", "DeleteBucket", "s3:DeleteBucket", anyBucket},
}
