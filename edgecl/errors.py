"""Every error a caller may catch.

* EdgeclError
  x InputRefused
    - ImageRefused
    - LabelRefused
    - BodyTooLarge
    - FrameUnusable
      + NotFinite
  x CameraError
    - CameraUnavailable
    - CameraStalled
  x StoreError
    - StoreBusy
    - StoreDamaged
    - StoreUnwritable
  x BackboneError
    - BackboneMissing
    - BackboneMismatch
    - BackboneDamaged
    - AcceleratorUnusable
    - ExportRefused
  x ConsolidationRefused
  x ReleaseError
    - ReleaseRefused
  x DeviceRefused
  x NotLearned
    - ClassUnknown
    - ItemUnknown
    - NothingToUndo
    - NothingKept
  x Busy
    - LessonBusy
    - ReleaseBusy
  x LessonOver
  x DaemonEnded
  x NoAnswer
  x ServiceRefused
  x ConfigRefused
  x ExtraMissing

A message says what was found, what was expected and what to do.
"""

from __future__ import annotations


class EdgeclError(Exception):
    """Anything edgecl refuses or fails to do; its message is meant for the user."""


class InputRefused(EdgeclError):
    """What was handed in cannot be used; nothing was changed."""


class ImageRefused(InputRefused):
    """The bytes are missing, empty, truncated, too large or no image at all."""


class LabelRefused(InputRefused):
    """The text cannot be the name of a class."""


class BodyTooLarge(InputRefused):
    """More bytes were sent than are taken at once."""


class FrameUnusable(InputRefused):
    """One frame of many cannot be read or embedded: a damaged file, a wrong shape, or its numbers are not finite."""


class NotFinite(FrameUnusable):
    """The network gave numbers that are not finite for a picture that is sound."""


class CameraError(EdgeclError):
    """A camera did not deliver frames."""


class CameraUnavailable(CameraError):
    """The camera could not be opened."""


class CameraStalled(CameraError):
    """The camera was open but stopped delivering frames."""


class StoreError(EdgeclError):
    """The memory on disk could not be read or written."""


class StoreBusy(StoreError):
    """Another process holds the home folder for writing."""


class StoreDamaged(StoreError):
    """What is on disk is not what was written."""


class StoreUnwritable(StoreError):
    """The disk is full, read-only or failing; the transaction was rolled back whole."""


class BackboneError(EdgeclError):
    """The backbone is missing, damaged or not the one expected."""


class BackboneMissing(BackboneError):
    """There is no exported backbone where one is needed."""


class BackboneMismatch(BackboneError):
    """Latents, embeddings or a head of one trunk or tail met those of another."""


class BackboneDamaged(BackboneError):
    """A backbone file differs from its digest, or does not answer its golden vectors."""


class AcceleratorUnusable(BackboneError):
    """What the settings let the graphs run on is not there, or cannot run them."""


class ExportRefused(BackboneError):
    """The exported graphs do not compute what the original network computes."""


class ConsolidationRefused(EdgeclError):
    """The tail could not be trained from this memory, or with these settings; nothing was changed."""


class ReleaseError(EdgeclError):
    """A release could not be made, found, installed or taken back; what runs is as it was."""


class ReleaseRefused(ReleaseError):
    """A release is not one that may run here; the message names the reason, and nothing was changed."""


class DeviceRefused(EdgeclError):
    """A device at an address was not reached, or did not do what it was asked.

    Attributes:
        said: its own words, empty where it said none.
    """

    def __init__(self, message: str, said: str = "") -> None:
        super().__init__(message)
        self.said = said


class NotLearned(EdgeclError):
    """The command names something that the memory does not hold."""


class ClassUnknown(NotLearned):
    """No class has this name."""


class ItemUnknown(NotLearned):
    """No lesson, example or review frame has this number."""


class NothingToUndo(NotLearned):
    """There is no lesson left that could be undone, or the newest is not the one that was meant."""


class NothingKept(NotLearned):
    """No frame of the lesson was worth keeping, so nothing was learned."""


class Busy(EdgeclError):
    """The daemon is at something that has to end first; asking again later may do."""


class LessonBusy(Busy):
    """A lesson is being given on this camera."""


class ReleaseBusy(Busy):
    """Another release is being installed."""


class LessonOver(EdgeclError):
    """The lesson has ended, or was never begun."""


class DaemonEnded(EdgeclError):
    """The daemon ended before it did what it was asked."""


class ServiceRefused(EdgeclError):
    """This machine cannot run the service, or does not."""


class NoAnswer(EdgeclError):
    """The daemon did not answer in time."""


class ConfigRefused(EdgeclError):
    """A setting has a value that cannot be used."""


class ExtraMissing(EdgeclError):
    """An optional part is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs a part that is not installed; install it with: pip install 'edgecl[{extra}]'")
