"""SNS: topics, their policies, and subscriptions. All ids are ARNs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

from tests.providers.aws.kind import AwsKind, by_key, pairs, retag, text
from tests.providers.aws.waiting import until
from tests.providers.base import Made, Props

if TYPE_CHECKING:
    from tests.providers.aws.api import Api

GONE = frozenset({"NotFound", "NotFoundException"})


class Topic(AwsKind):
    """A topic."""

    token = "aws:sns/topic:Topic"
    service = "sns"
    gone = GONE
    attributes: ClassVar = {
        "contentBasedDeduplication": "ContentBasedDeduplication",
        "deliveryPolicy": "DeliveryPolicy",
        "displayName": "DisplayName",
        "fifoTopic": "FifoTopic",
        "policy": "Policy",
    }
    inputs = frozenset({"name", "region", "tags", *attributes})
    outputs = frozenset({"arn", "name", "owner", "policy", "region", "tagsAll"})
    volatile = frozenset({"tagsAll"})
    immutable = frozenset({"fifoTopic", "name", "region"})
    documents = frozenset({"deliveryPolicy", "policy"})
    defaults: ClassVar = {"contentBasedDeduplication": False, "displayName": "", "fifoTopic": False}
    autoname = "name"

    def make_name(self, candidate: str, inputs: Props) -> str:
        """With the suffix that SNS wants."""
        return candidate + (".fifo" if inputs.get("fifoTopic") is True else "")

    def create(self, api: Api, inputs: Props) -> Made:
        """One call makes all of it."""
        client, tags = self.client(api, inputs), api.tags(inputs)
        # What is off is refused outside of FIFO topics even as a "false".
        attributes = {
            name: text(inputs[key]) for key, name in self.attributes.items() if inputs.get(key)
        }
        topic = client.create_topic(Name=inputs["name"], Attributes=attributes, Tags=pairs(tags))
        id_ = topic["TopicArn"]
        return Made(id_, {**(self._found(client, id_) or {}), "tagsAll": tags})

    def read(self, api: Api, id_: str, state: Props) -> Props | None:
        """Its attributes and tags."""
        client = self.client(api, state)
        found = self._found(client, id_)
        if found is None:
            return None
        tags = by_key(client.list_tags_for_resource(ResourceArn=id_)["Tags"])
        return {**found, **api.own_tags(tags, state)}

    def update(self, api: Api, id_: str, old: Props, new: Props) -> Props:
        """Each attribute that changed is a call of its own."""
        client, tags = self.client(api, old), api.tags(new)
        for key, name in self.attributes.items():
            if key in new and new[key] != old.get(key, self.defaults.get(key)):
                value = text(new[key])
                client.set_topic_attributes(TopicArn=id_, AttributeName=name, AttributeValue=value)
        added, removed = retag(old.get("tagsAll") or {}, tags)
        if removed:
            client.untag_resource(ResourceArn=id_, TagKeys=removed)
        if added:
            client.tag_resource(ResourceArn=id_, Tags=pairs(added))
        return {"tagsAll": tags}

    def delete(self, api: Api, id_: str, state: Props) -> None:
        """Delete it and see it gone."""
        client = self.client(api, state)
        with self.may_be_gone():
            client.delete_topic(TopicArn=id_)
        until(f"topic {id_} is still there", lambda: self._found(client, id_) is None)

    def _found(self, client: Any, arn: str) -> Props | None:
        with self.may_be_gone():
            found = client.get_topic_attributes(TopicArn=arn)["Attributes"]
            return {
                "arn": arn,
                "name": arn.rpartition(":")[2],
                "owner": found["Owner"],
                "region": client.meta.region_name,
                "displayName": found.get("DisplayName", ""),
                "fifoTopic": found.get("FifoTopic") == "true",
                "contentBasedDeduplication": found.get("ContentBasedDeduplication") == "true",
                "deliveryPolicy": found.get("DeliveryPolicy"),
                "policy": found.get("Policy"),
            }
        return None


class TopicPolicy(AwsKind):
    """Who may publish to a topic and subscribe to it."""

    token = "aws:sns/topicPolicy:TopicPolicy"
    service = "sns"
    gone = GONE
    inputs = frozenset({"arn", "policy", "region"})
    outputs = frozenset({"owner", "region"})
    immutable = frozenset({"arn", "region"})
    documents = frozenset({"policy"})

    def create(self, api: Api, inputs: Props) -> Made:
        """Set it."""
        client, arn = self.client(api, inputs), inputs["arn"]
        _set_policy(client, arn, text(inputs["policy"]))
        return Made(arn, {"owner": arn.split(":")[4], "region": client.meta.region_name})

    def read(self, api: Api, id_: str, state: Props) -> Props | None:
        """None when the topic is gone."""
        client = self.client(api, state)
        with self.may_be_gone():
            found = client.get_topic_attributes(TopicArn=id_)["Attributes"]
            place = {"arn": id_, "region": client.meta.region_name}
            return {**place, "owner": found["Owner"], "policy": found["Policy"]}
        return None

    def update(self, api: Api, id_: str, old: Props, new: Props) -> Props:
        """Set it anew."""
        _set_policy(self.client(api, old), id_, text(new["policy"]))
        return {}

    def delete(self, api: Api, id_: str, state: Props) -> None:
        """Put back the policy that SNS gives a new topic."""
        account = id_.split(":")[4]
        actions = (
            *("GetTopicAttributes", "SetTopicAttributes", "AddPermission", "RemovePermission"),
            *("DeleteTopic", "Subscribe", "ListSubscriptionsByTopic", "Publish"),
        )
        statement = {
            "Sid": "__default_statement_ID",
            "Effect": "Allow",
            "Principal": {"AWS": "*"},
            "Action": [f"SNS:{action}" for action in actions],
            "Resource": id_,
            "Condition": {"StringEquals": {"AWS:SourceOwner": account}},
        }
        policy = {"Version": "2008-10-17", "Id": "__default_policy_ID", "Statement": [statement]}
        with self.may_be_gone():
            _set_policy(self.client(api, state), id_, json.dumps(policy))


def _set_policy(client: Any, arn: str, policy: str) -> None:
    client.set_topic_attributes(TopicArn=arn, AttributeName="Policy", AttributeValue=policy)


class TopicSubscription(AwsKind):
    """A subscription to a topic."""

    token = "aws:sns/topicSubscription:TopicSubscription"
    service = "sns"
    gone = GONE
    attributes: ClassVar = {
        "deliveryPolicy": "DeliveryPolicy",
        "filterPolicy": "FilterPolicy",
        "filterPolicyScope": "FilterPolicyScope",
        "rawMessageDelivery": "RawMessageDelivery",
        "redrivePolicy": "RedrivePolicy",
    }
    inputs = frozenset({"endpoint", "protocol", "region", "topic", *attributes})
    outputs = frozenset(
        {"arn", "confirmationWasAuthenticated", "ownerId", "pendingConfirmation", "region"}
    )
    immutable = frozenset({"endpoint", "protocol", "region", "topic"})
    documents = frozenset({"deliveryPolicy", "filterPolicy", "redrivePolicy"})
    defaults: ClassVar = {"rawMessageDelivery": False}

    def create(self, api: Api, inputs: Props) -> Made:
        """One call makes all of it."""
        client = self.client(api, inputs)
        given = {name: text(inputs[key]) for key, name in self.attributes.items() if key in inputs}
        answer = client.subscribe(
            TopicArn=inputs["topic"],
            Protocol=inputs["protocol"],
            Endpoint=inputs["endpoint"],
            Attributes=given,
            ReturnSubscriptionArn=True,
        )
        arn = answer["SubscriptionArn"]
        found = self._found(client, arn) or {}
        return Made(arn, {key: found[key] for key in self.outputs if key in found})

    def read(self, api: Api, id_: str, state: Props) -> Props | None:
        """Its attributes."""
        return self._found(self.client(api, state), id_)

    def update(self, api: Api, id_: str, old: Props, new: Props) -> Props:
        """Each attribute that changed is a call of its own; an empty one is none."""
        client = self.client(api, old)
        for key, name in self.attributes.items():
            if new.get(key) != old.get(key):
                value = text(new[key]) if key in new else "{}" if key == "filterPolicy" else ""
                client.set_subscription_attributes(
                    SubscriptionArn=id_, AttributeName=name, AttributeValue=value
                )
        return {}

    def delete(self, api: Api, id_: str, state: Props) -> None:
        """Unsubscribe and see it gone."""
        client = self.client(api, state)
        with self.may_be_gone():
            client.unsubscribe(SubscriptionArn=id_)
        until(f"subscription {id_} is still there", lambda: self._found(client, id_) is None)

    def _found(self, client: Any, arn: str) -> Props | None:
        with self.may_be_gone():
            found = client.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
            told = {key: found.get(name) for key, name in self.attributes.items()}
            return {
                **told,
                "arn": arn,
                "topic": found["TopicArn"],
                "protocol": found["Protocol"],
                "endpoint": found["Endpoint"],
                "ownerId": found["Owner"],
                "region": client.meta.region_name,
                "rawMessageDelivery": found.get("RawMessageDelivery") == "true",
                "pendingConfirmation": found.get("PendingConfirmation") == "true",
                "confirmationWasAuthenticated": found.get("ConfirmationWasAuthenticated") == "true",
            }
        return None


KINDS = (Topic(), TopicPolicy(), TopicSubscription())
