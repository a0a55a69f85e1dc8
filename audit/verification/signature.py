"""A signature over a run folder, made with its author's own SSH key.

Enters: a run folder, a key. Leaves: `SHA256SUMS.sig` beside `SHA256SUMS`, or whose signature it is.

Why OpenSSH: its users have a key already, on a disk, in an agent or on a hardware token, and whoever checks a
run needs nothing of this program: `ssh-keygen -Y verify` reads the same file.

Why the signature is over SHA256SUMS: that small file stands for every file it lists, so that whoever writes a
report into the folder afterwards breaks the signature and has to sign again.

Source: PROTOCOL.sshsig of OpenSSH.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from audit.errors import RunFolderError, SignatureError
from audit.runs.checksums import SUMS_FILE, read_sums
from audit.runs.run_folder import RESULT_FILE
from pipelines.errors import UnreadableFile
from pipelines.storage import file_sha256, write_text
from pipelines.untrusted import read_text

SIGNATURE_FILE = f"{SUMS_FILE}.sig"
NAMESPACE = "fake-face-fairness-audit"
"""What the signature is for: one made for something else does not count."""
_MAX_BYTES = 1 << 16
_KEY = re.compile(r"^(?:sk-)?(?:ssh|ecdsa)-[\w@.-]+ [A-Za-z0-9+/=]+", re.MULTILINE)
_BY = re.compile(r"with (\S+ key SHA256:\S+)")


@dataclass(frozen=True)
class Signed:
    """What a signature says.

    Attributes:
        whole: Whether it was made over these very bytes, by a key that may.
        by: Kind and fingerprint of the key; "" where it is not whole.
        why: Why it does not count; "" where it does.
    """

    whole: bool
    by: str = ""
    why: str = ""


def sign(folder: str | Path, key: str | Path) -> Path:
    """Sign a run folder.

    Args:
        folder: What `audit run` wrote; nothing in it may have changed since.
        key: A private SSH key, or the public half of one that an agent holds. ssh-keygen asks for its
            passphrase at the terminal.

    Returns:
        The signature's file.

    Raises:
        RunFolderError: No run, or a file of it is not what SHA256SUMS says.
        SignatureError: ssh-keygen is not installed, or refuses the key.
    """
    place, key = Path(folder), Path(key)
    _require_unchanged(place)
    if not key.is_file():
        raise SignatureError(
            f"no key at {key}: name a private SSH key, or make one with ssh-keygen -t ed25519"
        )
    command = ["-Y", "sign", "-q", "-f", os.fspath(key.absolute()), "-n", NAMESPACE]
    done = _ssh_keygen(command, (place / SUMS_FILE).read_bytes())
    if done.returncode or not done.stdout.startswith("-----BEGIN SSH SIGNATURE-----"):
        raise SignatureError(f"{key} cannot sign: {_last_line(done)}; it must be an SSH key, and unlocked")
    return write_text(place / SIGNATURE_FILE, done.stdout)


def read_signature(folder: Path, signer: str | Path | None = None) -> Signed | None:
    """Whose signature a run folder carries, and whether it is over what lies there now.

    Args:
        folder: A run folder.
        signer: File of the public SSH keys that may have signed, one a line; None accepts any.

    Returns:
        None where there is no signature.

    Raises:
        SignatureError: ssh-keygen is not installed, or `signer` holds no key.
    """
    keys = None if signer is None else public_keys(Path(signer))
    path = folder / SIGNATURE_FILE
    if not path.is_file():
        return None
    try:
        read_text(path, _MAX_BYTES)
        sums = (folder / SUMS_FILE).read_bytes()
    except (UnreadableFile, OSError) as error:
        return Signed(False, why=str(error))
    told = ["-n", NAMESPACE, "-s", os.fspath(path.absolute())]
    found = _ssh_keygen(["-Y", "check-novalidate", *told], sums)
    by = _BY.search(found.stdout)
    if found.returncode or by is None:
        return Signed(False, why="it is not of this SHA256SUMS, or damaged")
    if keys is not None and not _is_one_of(keys, told, sums):
        return Signed(False, by[1], f"it was made with another key, {by[1]}")
    return Signed(True, by[1])


def public_keys(path: Path) -> list[str]:
    """The public keys of a file: type and text of each, without remarks or options.

    Raises:
        SignatureError: It holds none.
    """
    try:
        keys = _KEY.findall(read_text(path, _MAX_BYTES))
    except UnreadableFile as error:
        raise SignatureError(f"{error}; give the signer's public key (id_ed25519.pub, say)") from None
    if not keys:
        raise SignatureError(f"{path} holds no public SSH key; give the signer's id_ed25519.pub, say")
    return keys


def _is_one_of(keys: list[str], told: list[str], sums: bytes) -> bool:
    """Whether OpenSSH accepts the signature as that of one of these keys."""
    with tempfile.TemporaryDirectory() as folder:
        allowed = Path(folder) / "allowed_signers"
        allowed.write_text("".join(f'signer namespaces="{NAMESPACE}" {key}\n' for key in keys))
        command = ["-Y", "verify", "-f", os.fspath(allowed), "-I", "signer", *told]
        return _ssh_keygen(command, sums).returncode == 0


def _require_unchanged(folder: Path) -> None:
    if not (folder / RESULT_FILE).is_file():
        raise RunFolderError(f"no {RESULT_FILE} in {folder}; sign the folder that `audit run` wrote")
    for name, digest in read_sums(folder).items():
        path = folder / name
        if not path.is_file() or file_sha256(path) != digest:
            raise RunFolderError(
                f"{path} is not what {SUMS_FILE} says: nothing was signed; see `audit verify {folder}`"
            )


def _ssh_keygen(arguments: list[str], given: bytes) -> subprocess.CompletedProcess[str]:
    """Run it on some bytes, in plain English."""
    program = shutil.which("ssh-keygen")
    if program is None:
        raise SignatureError(
            "signatures need ssh-keygen of OpenSSH 8.1 or newer, which is not installed here"
        )
    environment = {**os.environ, "LC_ALL": "C"}
    done = subprocess.run(
        [program, *arguments], input=given, capture_output=True, check=False, env=environment
    )
    out, err = (text.decode("utf-8", "replace") for text in (done.stdout, done.stderr))
    return subprocess.CompletedProcess(done.args, done.returncode, out, err)


def _last_line(done: subprocess.CompletedProcess[str]) -> str:
    return (done.stderr.strip().splitlines() or ["no reason given"])[-1]
