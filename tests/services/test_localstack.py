from __future__ import annotations

from tests.services.localstack import LocalStack

# The first test that asks for a service has its start in its own time.


def test_the_services_that_the_stacks_use_are_there(localstack: LocalStack) -> None:
    s3 = localstack.client("s3")
    s3.create_bucket(Bucket="smoke")
    s3.put_object(Bucket="smoke", Key="greeting", Body=b"hello")
    assert s3.get_object(Bucket="smoke", Key="greeting")["Body"].read() == b"hello"

    sqs = localstack.client("sqs")
    queue = sqs.create_queue(QueueName="smoke")["QueueUrl"]
    # An address that is reached without a name server.
    assert queue.startswith(localstack.url)
    sqs.send_message(QueueUrl=queue, MessageBody="hello")
    assert sqs.receive_message(QueueUrl=queue)["Messages"][0]["Body"] == "hello"

    ec2 = localstack.client("ec2")
    network = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]

    route53 = localstack.client("route53")
    zone = route53.create_hosted_zone(Name="smoke.example", CallerReference="1")["HostedZone"]["Id"]

    secrets = localstack.client("secretsmanager")
    secrets.create_secret(Name="smoke", SecretString="hidden")
    assert secrets.get_secret_value(SecretId="smoke")["SecretString"] == "hidden"

    secrets.delete_secret(SecretId="smoke", ForceDeleteWithoutRecovery=True)
    route53.delete_hosted_zone(Id=zone)
    ec2.delete_vpc(VpcId=network)
    sqs.delete_queue(QueueUrl=queue)
    s3.delete_object(Bucket="smoke", Key="greeting")
    s3.delete_bucket(Bucket="smoke")
    assert "smoke" not in {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
