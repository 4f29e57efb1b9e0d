"""Buckets, queues and topics, as pages on the provider show them: all is imported at the top."""

from __future__ import annotations

import json
import logging

import pulumi
import pulumi_aws as aws
from pulumi_aws import sns, sqs

from alma import Saga

log = logging.getLogger(__name__)
tags = {"team": "shop"}

saga = Saga("registry", stack="dev")


def site() -> None:
    """A bucket with a page in it."""
    bucket = aws.s3.Bucket("site", tags=tags)
    aws.s3.BucketObjectv2(
        "index",
        bucket=bucket.id,
        key="index.html",
        content="<h1>Hello</h1>",
        content_type="text/html",
    )
    log.info("the site is there")
    pulumi.export("bucket", bucket.id)


def orders() -> None:
    """A queue, and another one for what nobody could take."""
    dead = sqs.Queue("orders-dead", tags=tags)
    policy = dead.arn.apply(
        lambda arn: json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 4})
    )
    queue = sqs.Queue("orders", redrive_policy=policy, visibility_timeout_seconds=60)
    pulumi.export("url", queue.url)


def news() -> None:
    """A topic, and a queue that listens to it."""
    topic = sns.Topic("news", opts=pulumi.ResourceOptions(protect=False))
    reader = sqs.Queue("reader")
    sns.TopicSubscription("to-reader", topic=topic.arn, protocol="sqs", endpoint=reader.arn)
    pulumi.export("topic", topic.arn)


saga.add_stack("site", program=site)
saga.add_stack("orders", program=orders, after=[])
saga.add_stack("news", program=news, after=[])
