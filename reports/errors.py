"""What can go wrong while a report is written, each with its next step.

ExpectedError
├── RunNotFound          the folder, or the record in it, is missing
├── RecordFormatError    the record is there and cannot be read
└── ChromiumNotFound     a PDF was asked for and no browser is installed
"""

from pipelines.errors import ExpectedError as ExpectedError


class RunNotFound(ExpectedError):
    """No folder, or no record in it."""


class RecordFormatError(ExpectedError):
    """The record is not JSON of the expected schema."""


class ChromiumNotFound(ExpectedError):
    """A PDF needs a browser, and none is installed."""


class PrintingFailed(ExpectedError):
    """The browser was started and made no PDF."""
