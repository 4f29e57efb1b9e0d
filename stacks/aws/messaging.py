"""A stack with an SNS topic, an SQS queue that is subscribed to it, and its dead-letter queue.

Config, all optional: `name` (of topic and queue, `-dead-letters` behind it for the other queue;
generated), `max_receive_count` (5), `visibility_timeout` (30), `retention` (345600) and
`dead_letter_retention` (1209600), all three in seconds, `raw` (true: the queue gets messages as
they were published), `filter_policy` (a JSON object), `tags` (a JSON object).
Outputs: `topic_arn`, `queue_url`, `queue_arn`, `dead_letter_queue_url`, `dead_letter_queue_arn`,
`subscription_arn`.

Encrypted by the services themselves (SSE-SQS).
"""

from __future__ import annotations

import json

import pulumi
from pulumi_aws import sns, sqs

from stacks.aws.common import tags


def program() -> None:
    """The stack. Raises ValueError, before anything is made, for what AWS would refuse."""
    config = pulumi.Config()
    name = config.get("name")
    receives = between("max_receive_count", config.get_int("max_receive_count", 5), 1, 1000)
    timeout = between("visibility_timeout", config.get_int("visibility_timeout", 30), 0, 43200)
    retention = _retention("retention", 345600)
    filters = config.get_object("filter_policy")
    dead_letters = sqs.Queue(
        "dead-letters",
        name=name and f"{name}-dead-letters",
        message_retention_seconds=_retention("dead_letter_retention", 1209600),
        tags=tags("dead-letters"),
    )
    redrive = {"deadLetterTargetArn": dead_letters.arn, "maxReceiveCount": receives}
    queue = sqs.Queue(
        "queue",
        name=name,
        message_retention_seconds=retention,
        visibility_timeout_seconds=timeout,
        redrive_policy=pulumi.Output.json_dumps(redrive),
        tags=tags("queue"),
    )
    allow = {"redrivePermission": "byQueue", "sourceQueueArns": [queue.arn]}
    sqs.RedriveAllowPolicy(
        "dead-letters",
        queue_url=dead_letters.url,
        redrive_allow_policy=pulumi.Output.json_dumps(allow),
    )
    topic = sns.Topic("topic", name=name, tags=tags("topic"))
    policy = sqs.QueuePolicy(
        "from-topic",
        queue_url=queue.url,
        policy=pulumi.Output.json_dumps(from_topic(queue.arn, topic.arn)),
    )
    subscription = sns.TopicSubscription(
        "subscription",
        topic=topic.arn,
        protocol="sqs",
        endpoint=queue.arn,
        raw_message_delivery=config.get_bool("raw", True),  # noqa: FBT003 - its signature
        filter_policy=json.dumps(filters, sort_keys=True) if filters else None,
        # A message that comes before the policy is lost.
        opts=pulumi.ResourceOptions(depends_on=[policy]),
    )
    pulumi.export("topic_arn", topic.arn)
    pulumi.export("queue_url", queue.url)
    pulumi.export("queue_arn", queue.arn)
    pulumi.export("dead_letter_queue_url", dead_letters.url)
    pulumi.export("dead_letter_queue_arn", dead_letters.arn)
    pulumi.export("subscription_arn", subscription.arn)


def from_topic(queue: pulumi.Output[str], topic: pulumi.Output[str]) -> dict[str, object]:
    """A policy by which this topic, and nobody else, may send to the queue."""
    statement = {
        "Sid": "FromTopic",
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def _retention(key: str, default: int) -> int:
    return between(key, pulumi.Config().get_int(key, default), 60, 1209600)


def between(key: str, value: int, low: int, high: int) -> int:
    """The value; ValueError when the service would refuse it."""
    if not low <= value <= high:
        raise ValueError(f"{key} must be from {low} to {high}, not {value}.")
    return value
