"""A Fieldsync device in the standard library alone."""

from .cycle import SyncEnd
from .device import Device
from .edits import NotPossible
from .line import Credentials, Limits
from .status import Reading
from .telemetry import Names

__all__ = ["Credentials", "Device", "Limits", "Names", "NotPossible", "Reading", "SyncEnd"]
