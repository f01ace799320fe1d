"""How requests to AWS are paced."""

from datetime import timedelta

from exporter.clients.aws import TokenBucket


def waits(bucket: TokenBucket, *at: float) -> list[float]:
    return [bucket.take(now).total_seconds() for now in at]


def test_after_a_pause_a_burst_goes_at_once_and_then_one_at_a_time() -> None:
    bucket = TokenBucket(2.0, 3, 0.0)
    assert waits(bucket, *[100.0] * 5) == [0.0, 0.0, 0.0, 0.5, 1.0]


def test_time_fills_the_bucket_up_to_the_burst() -> None:
    bucket = TokenBucket(2.0, 3, 0.0)
    waits(bucket, 0.0, 0.0, 0.0)
    assert waits(bucket, 0.5, 0.5) == [0.0, 0.5]
    assert bucket.take(1000.0) == timedelta(0)
    assert waits(bucket, 1000.0, 1000.0, 1000.0) == [0.0, 0.0, 0.5]
