"""Opening a recording, folder or packed file."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from pathlib import Path

from kestrel_lab.recording.archive import unpack_into
from kestrel_lab.recording.reader import Recording


class PackedRecording(Recording):
    """A packed recording, unpacked into a private temporary folder that goes with this object."""

    def __init__(self, path: Path) -> None:
        """Unpack and read.

        Raises:
            UsageError, DamagedError, IncompatibleError: if it cannot be read at all.
        """
        folder = Path(tempfile.mkdtemp(prefix="kestrel-lab-"))
        self._remove = weakref.finalize(self, shutil.rmtree, folder, True)
        try:
            unpack_into(path, folder)
            super().__init__(path, folder)
        except BaseException:
            self._remove()
            raise

    def close(self) -> None:
        """Remove the temporary folder; the recording is not used after."""
        self._remove()


def open_recording(path: Path) -> Recording:
    """Return a recording: a `NAME.krec` folder, or a packed file (unpacked for as long as the object lives).

    Growing, killed and damaged recordings open too; see `end`, `missing` and `damage`.

    Raises:
        UsageError: if there is no recording.
        DamagedError: if its manifest or its journal cannot be read.
        IncompatibleError: if it is of another major format version or of another schema.
    """
    return PackedRecording(path) if path.is_file() else Recording(path)
