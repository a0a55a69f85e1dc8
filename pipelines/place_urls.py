"""Addresses of object stores: which are understood, how they are spoken of, what goes wrong in one sentence.

Enters: what a user typed. Leaves: a checked address such as `s3://bucket/pairs`, the file system that answers
for it, and `PlaceError` for every fault of the network, the rights or the credentials.

Why an address that carries credentials is refused: it would stand in the shell's history and in the list of
processes before it could be taken out of any record; each store has a better place for them.
Why any fault of a file system becomes one error: these are plug-ins, each with exceptions of its own, and
what a person does about any of them is the same: mend it and start again.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, Final
from urllib.parse import urlsplit

from pipelines.errors import ExpectedError, MissingExtra, PlaceError

PACKAGES: Final = {
    "s3": ("s3fs", "remote"), "gs": ("gcsfs", ""), "gcs": ("gcsfs", ""), "hf": ("huggingface_hub", ""),
    "az": ("adlfs", ""), "abfs": ("adlfs", ""), "memory": ("fsspec", "remote"),
}  # fmt: skip
"""Scheme to the module that answers for it, and the extra that brings it."""
CREDENTIALS: Final = {
    "s3": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write ~/.aws/credentials",
    "gs": "run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS",
    "hf": "run `hf auth login`, or set HF_TOKEN",
    "az": "set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
}
_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://", re.ASCII)
_SECRET: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)([^/\s'\"<>]*)([^\s'\"<>]*)", re.ASCII)
_NO_CREDENTIALS: Final = frozenset(
    {
        "NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "TokenRetrievalError",
        "UnauthorizedSSOTokenError", "DefaultCredentialsError", "RefreshError", "LocalTokenNotFoundError",
    }
)  # fmt: skip
"""Exceptions of the stores' own libraries, which are not imported for their names."""
CONTINUE: Final = "what was finished is kept; put that right and run the same command again to continue"


def is_url(text: object) -> bool:
    """Whether a text is an address, and no path.

    >>> is_url("s3://bucket/pairs"), is_url("runs/a"), is_url("s3:/bucket")
    (True, False, False)
    """
    return isinstance(text, str) and _URL.match(text) is not None


def without_credentials(text: str) -> str:
    """The same text, all addresses in it without user, password, query and fragment.

    >>> without_credentials("audit run --out=s3://KEY:SECRET@bucket/run?token=1 --seed 1")
    'audit run --out=s3://bucket/run --seed 1'
    """
    if "://" not in text:
        return text
    return _SECRET.sub(
        lambda m: m[1] + m[2].rpartition("@")[2].partition("?")[0] + re.split("[?#]", m[3])[0], text
    )


def checked(text: str) -> str:
    """An address as it is recorded: a known scheme, no credentials, no slash at the end.

    Raises:
        PlaceError: a scheme that is not known, credentials or a query in it, or a name no file can have.
    """
    shown = without_credentials(text)
    scheme = text.partition("://")[0].lower()
    if scheme not in PACKAGES:
        raise PlaceError(
            f"{shown}: {scheme}:// is no place that is read; known are "
            f"{', '.join(f'{name}://' for name in PACKAGES)}, and paths"
        )
    parts = urlsplit(text)
    if "@" in parts.netloc or parts.query or parts.fragment or shown != text:
        raise PlaceError(
            f"{shown} was given with a user, a query or a fragment, which may hold credentials and are not "
            f"followed: give the address alone{_how(scheme)}"
        )
    words = text.partition("://")[2].rstrip("/").split("/")
    if not words[0] or any(word in ("", ".", "..") or not word.isprintable() for word in words):
        raise PlaceError(f"{shown} is no address of a file or folder: write {scheme}://BUCKET/FOLDER")
    return f"{scheme}://{'/'.join(words)}"


_SYSTEMS: dict[tuple[int, str], Any] = {}
"""By process and scheme: what talks to the network does not survive a fork."""


def filesystem(url: str) -> Any:
    """The fsspec file system of an address.

    Raises:
        MissingExtra: its package is not installed.
    """
    scheme = url.partition("://")[0]
    key = (os.getpid(), scheme)
    if key not in _SYSTEMS:
        module, extra = PACKAGES[scheme]
        absent = [name for name in ("fsspec", module) if find_spec(name) is None]
        if absent and extra:
            raise MissingExtra(f"{scheme}://", ", ".join(dict.fromkeys(absent)), extra)
        if absent:
            names = [name.replace("_", "-") for name in absent]
            raise PlaceError(
                f"{scheme}:// needs {', '.join(names)}, not installed here: pip install {' '.join(names)}"
            )
        import fsspec

        with asking(f"{scheme}://", "opened"):
            _SYSTEMS[key] = fsspec.filesystem(
                scheme, use_listings_cache=False, skip_instance_cache=scheme != "memory"
            )
    return _SYSTEMS[key]


def key_of(url: str) -> str:
    """What a file system calls an address."""
    return str(filesystem(url)._strip_protocol(url))


@contextmanager
def asking(url: str, doing: str) -> Iterator[None]:
    """Within this context, every fault of a store ends as one sentence.

    Args:
        url: The address.
        doing: What it cannot be: "read", "written".

    Raises:
        PlaceError: as the store says.
    """
    try:
        yield
    except ExpectedError:
        raise
    except Exception as fault:
        raise PlaceError(f"{url} cannot be {doing}: {_reason(url, fault)}; {CONTINUE}") from fault


def _how(scheme: str) -> str:
    """Where a store's credentials belong, as the end of a sentence."""
    where = CREDENTIALS.get({"gcs": "gs", "abfs": "az"}.get(scheme, scheme))
    return f"; for credentials, {where}" if where else ""


def _reason(url: str, fault: Exception) -> str:
    """What a store says went wrong, and what to do about credentials."""
    said = without_credentials((str(fault).strip() or type(fault).__name__).splitlines()[0][:300])
    if type(fault).__name__ in _NO_CREDENTIALS:
        return f"no credentials were found ({said}){_how(url.partition('://')[0])}"
    if isinstance(fault, PermissionError):
        return f"the store does not allow it ({said}): ask for the right, or name another place"
    return said
