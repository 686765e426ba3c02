"""A Fieldsync device, level `core`, profile `version-wins`, in the standard library alone."""

from .cycle import SyncEnd
from .device import Device
from .edits import NotPossible
from .session import Credentials, Limits
from .status import Reading

__all__ = ["Credentials", "Device", "Limits", "NotPossible", "Reading", "SyncEnd"]
