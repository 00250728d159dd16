package alarms

// Rules is THE list. A new rule is a value in a rule_….go file and a line here;
// a test fails when it lacks a sentence, a firing or a quiet example.
//
// Ids, thresholds and M of N are those of the alarm catalogue (project facts,
// alarms section 1), so that the dashboard and the alarms agree.
var Rules = []Rule{
	streamLoss,
	streamStall,
	streamSilent,
	streamLag,
	streamWriteThrottle,
	streamReadThrottle,
	fanOutLoss,
	streamCapacityBytes,
	streamCapacityRecords,
	streamPutFailed,
	streamConsumerOff,
	streamUnread,

	deliveryBlocked,
	deliveryStale,
	deliverySourceLoss,
	deliveryErrors,
	deliveryThrottled,
	deliverySourceThrottle,
	deliveryLimitBytes,
	deliveryLimitRecords,
	deliveryLimitPuts,
	deliveryTransform,
	deliveryConvert,
	deliveryPartitions,
	deliveryFailed,
	deliverySilentErrors,

	queueLoss,
	queueStuck,
	queueAge,
	queueInFlight,
	queueSilent,
	queueVisibility,
	queueNoDeadLetter,

	deadLoss,
	deadGrowing,
	deadNonEmpty,
	deadRetention,

	functionStreamErrors,
	functionErrorRate,
	functionThrottles,
	functionStreamLoss,
	functionAsyncDropped,
	functionAsyncAge,
	functionDeadLetterErrors,
	functionDestinationFailures,
	functionNearTimeout,
	functionRecursion,

	topicLost,
	topicFailed,
	topicRedriven,
	topicFilterInvalid,
	topicSilent,
}
