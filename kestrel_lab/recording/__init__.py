"""The recording format: writer, reader, journal, seal, verify and repair."""

from kestrel_lab.recording.archive import pack, unpack
from kestrel_lab.recording.contents import read_content
from kestrel_lab.recording.damage import Damage
from kestrel_lab.recording.expired import Expired
from kestrel_lab.recording.follow import Follower, follow
from kestrel_lab.recording.live import AlertLog, LiveLog
from kestrel_lab.recording.opening import open_recording
from kestrel_lab.recording.reader import Recording
from kestrel_lab.recording.records import EpochRecord
from kestrel_lab.recording.repair import repair
from kestrel_lab.recording.verify import VerifyReport, verify
from kestrel_lab.recording.writer import RecordingWriter

__all__ = [
    "AlertLog",
    "Damage",
    "EpochRecord",
    "Expired",
    "Follower",
    "LiveLog",
    "Recording",
    "RecordingWriter",
    "VerifyReport",
    "follow",
    "open_recording",
    "pack",
    "read_content",
    "repair",
    "unpack",
    "verify",
]
