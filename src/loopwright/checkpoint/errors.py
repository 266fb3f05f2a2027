"""What can be wrong with a checkpoint, one class a remedy."""

from __future__ import annotations


class CheckpointError(Exception):
    """Anything about checkpoints that a user can act on."""


class StateError(CheckpointError, TypeError):
    """The state holds something that is not data; the message names its place."""


class SaveError(CheckpointError, OSError):
    """A save failed; nothing that was there before has changed. A command ends with 74."""

    exit_code = 74

    def __str__(self) -> str:
        """The sentence alone: it names the error of the disk itself."""
        return str(self.strerror or super().__str__())


class Broken(CheckpointError):
    """A file is damaged, cut short, missing or not what its manifest says."""


class Refused(CheckpointError):
    """A file asks for more than data: a global we do not know, or another format altogether."""


class WeightsError(CheckpointError):
    """Weights do not fit the model; the message is the readable report."""
