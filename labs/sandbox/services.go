package sandbox

// services is THE list of what a region offers. A constructor registers its
// operations, its receivers and its metric samplers with the region.
var services = []func(*Region){
	newSTS,
	newIAM,
	newKMS,
	newS3,
	newKinesis,
	newSQS,
	newSNS,
	newLambda,
	newEventBridge,
	newFirehose,
	newDynamoDB,
	newCloudWatch,
	newTagging,
	newGlue,
	newAthena,
	newCloudFormation,
	newHTTPAPIs,
}
