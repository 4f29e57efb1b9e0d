"""What a user writes."""

from alma.saga.saga import Saga

__all__ = ["Saga"]
