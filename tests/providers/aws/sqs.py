"""SQS: queues, and the policies that are set on them by resources of their own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from tests.providers.aws.kind import AwsKind, retag, text
from tests.providers.aws.waiting import until
from tests.providers.base import Made, Props

if TYPE_CHECKING:
    from tests.providers.aws.api import Api

GONE = frozenset({"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"})
TEXTS = frozenset({"policy", "redrivePolicy", "redriveAllowPolicy"})


class Queue(AwsKind):
    """A queue. The id is its URL."""

    token = "aws:sqs/queue:Queue"
    service = "sqs"
    gone = GONE
    # In seconds, bytes, or yes and no; these are set always.
    defaults: ClassVar = {
        "contentBasedDeduplication": False,
        "delaySeconds": 0,
        "fifoQueue": False,
        "maxMessageSize": 262144,
        "messageRetentionSeconds": 345600,
        "receiveWaitTimeSeconds": 0,
        "sqsManagedSseEnabled": True,
        "visibilityTimeoutSeconds": 30,
    }
    inputs = frozenset({"name", "region", "tags", *defaults, *TEXTS})
    outputs = frozenset({"arn", "name", "region", "tagsAll", "url", *defaults, *TEXTS})
    volatile = frozenset({"tagsAll"})
    immutable = frozenset({"fifoQueue", "name", "region"})
    documents = TEXTS
    autoname = "name"

    def check(self, inputs: Props) -> Iterator[tuple[str, str]]:
        """What only a FIFO queue can have."""
        if inputs.get("contentBasedDeduplication") is True and not inputs.get("fifoQueue"):
            yield "contentBasedDeduplication", "it can only be set for a FIFO queue"

    def make_name(self, candidate: str, inputs: Props) -> str:
        """As long as SQS takes it, and with the suffix that it wants."""
        suffix = ".fifo" if inputs.get("fifoQueue") is True else ""
        return candidate[-(80 - len(suffix)) :] + suffix

    def create(self, api: Api, inputs: Props) -> Made:
        """One call makes all of it."""
        client, tags = self.client(api, inputs), api.tags(inputs)
        attributes = _attributes(inputs)
        if not inputs["fifoQueue"]:  # Even a "false" is refused.
            del attributes["FifoQueue"], attributes["ContentBasedDeduplication"]
        url = client.create_queue(QueueName=inputs["name"], Attributes=attributes, tags=tags)
        id_ = url["QueueUrl"]
        return Made(id_, {**(self._found(client, id_) or {}), "tagsAll": tags})

    def read(self, api: Api, id_: str, state: Props) -> Props | None:
        """Its attributes and tags."""
        client = self.client(api, state)
        found = self._found(client, id_)
        if found is None:
            return None
        tags = client.list_queue_tags(QueueUrl=id_).get("Tags", {})
        return {**found, **api.own_tags(tags, state)}

    def update(self, api: Api, id_: str, old: Props, new: Props) -> Props:
        """Set the attributes; a policy that is no longer given stays, as it may be another's."""
        client, tags = self.client(api, old), api.tags(new)
        attributes = _attributes(new)
        del attributes["FifoQueue"]  # Even a "false" is refused.
        if not new["fifoQueue"]:
            del attributes["ContentBasedDeduplication"]
        client.set_queue_attributes(QueueUrl=id_, Attributes=attributes)
        added, removed = retag(old.get("tagsAll") or {}, tags)
        if removed:
            client.untag_queue(QueueUrl=id_, TagKeys=removed)
        if added:
            client.tag_queue(QueueUrl=id_, Tags=added)
        return {"tagsAll": tags}

    def delete(self, api: Api, id_: str, state: Props) -> None:
        """Delete it and see it gone."""
        client = self.client(api, state)
        with self.may_be_gone():
            client.delete_queue(QueueUrl=id_)
        until(f"queue {id_} is still there", lambda: self._found(client, id_) is None)

    def _found(self, client: Any, url: str) -> Props | None:
        with self.may_be_gone():
            answer = client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
            found = answer["Attributes"]
            arn = found["QueueArn"]
            return {
                "arn": arn,
                "name": arn.rpartition(":")[2],
                "region": client.meta.region_name,
                "url": url,
                **{key: _typed(found, key, value) for key, value in self.defaults.items()},
                **{key: found.get(_attribute(key)) for key in TEXTS},
            }
        return None


def _attribute(key: str) -> str:
    names = {
        "maxMessageSize": "MaximumMessageSize",
        "messageRetentionSeconds": "MessageRetentionPeriod",
        "receiveWaitTimeSeconds": "ReceiveMessageWaitTimeSeconds",
        "visibilityTimeoutSeconds": "VisibilityTimeout",
    }
    return names.get(key, key[0].upper() + key[1:])


def _attributes(inputs: Props) -> dict[str, str]:
    given = {key: inputs[key] for key in (*Queue.defaults, *TEXTS) if key in inputs}
    return {_attribute(key): text(value) for key, value in given.items()}


def _typed(found: dict[str, str], key: str, default: Any) -> Any:
    value = found.get(_attribute(key))
    if value is None:
        # What the service does not tell (fifo) is off; encryption may be told by nobody.
        return default
    return value == "true" if isinstance(default, bool) else int(value)


class QueuePart(AwsKind):
    """A policy of a queue. The id is the queue's URL."""

    service = "sqs"
    gone = GONE
    key: ClassVar[str]
    """The input with the policy; the attribute's name is the same in Pascal case."""
    immutable = frozenset({"queueUrl", "region"})
    outputs = frozenset({"region"})

    def create(self, api: Api, inputs: Props) -> Made:
        """Set it."""
        client = self.client(api, inputs)
        self._set(client, inputs["queueUrl"], text(inputs[self.key]))
        return Made(inputs["queueUrl"], {"region": client.meta.region_name})

    def read(self, api: Api, id_: str, state: Props) -> Props | None:
        """None when the queue is gone, or has none."""
        client, name = self.client(api, state), _attribute(self.key)
        with self.may_be_gone():
            answer = client.get_queue_attributes(QueueUrl=id_, AttributeNames=[name])
            if policy := answer.get("Attributes", {}).get(name):
                place = {"queueUrl": id_, "region": client.meta.region_name}
                return {**place, self.key: policy}
        return None

    def update(self, api: Api, id_: str, old: Props, new: Props) -> Props:
        """Set it anew."""
        self._set(self.client(api, old), id_, text(new[self.key]))
        return {}

    def delete(self, api: Api, id_: str, state: Props) -> None:
        """Empty is none."""
        with self.may_be_gone():
            self._set(self.client(api, state), id_, "")

    def _set(self, client: Any, url: str, value: str) -> None:
        client.set_queue_attributes(QueueUrl=url, Attributes={_attribute(self.key): value})


class QueuePolicy(QueuePart):
    """Who may send to a queue, and read it."""

    token = "aws:sqs/queuePolicy:QueuePolicy"
    key = "policy"
    inputs = frozenset({"policy", "queueUrl", "region"})
    documents = frozenset({"policy"})


class RedrivePolicy(QueuePart):
    """Where messages go that nobody could handle."""

    token = "aws:sqs/redrivePolicy:RedrivePolicy"
    key = "redrivePolicy"
    inputs = frozenset({"queueUrl", "redrivePolicy", "region"})
    documents = frozenset({"redrivePolicy"})


class RedriveAllowPolicy(QueuePart):
    """Which queues may send their dead letters here."""

    token = "aws:sqs/redriveAllowPolicy:RedriveAllowPolicy"
    key = "redriveAllowPolicy"
    inputs = frozenset({"queueUrl", "redriveAllowPolicy", "region"})
    documents = frozenset({"redriveAllowPolicy"})


KINDS = (Queue(), QueuePolicy(), RedriveAllowPolicy(), RedrivePolicy())
