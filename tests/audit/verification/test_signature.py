"""A signature counts for the bytes it was made over and the key that made it, and for nothing else."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from audit.cli import main
from audit.config import AuditConfig
from audit.errors import RunFolderError, SignatureError
from audit.runs.score_audit import audit_file
from audit.verification import signature
from audit.verification.signature import NAMESPACE, SIGNATURE_FILE, read_signature, sign
from audit.verification.verify_run import verify_run

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="no ssh-keygen here")
CORPUS = Path(__file__).resolve().parents[2] / "corpus"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the keys of two people."""
    place = tmp_path_factory.mktemp("keys")
    for name, kind in (("alice", "ed25519"), ("mallory", "ecdsa")):
        made = ["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", name, "-f", str(place / name)]
        subprocess.run(made, check=True)
    return place


@pytest.fixture(scope="module")
def whole(keys: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that Alice signed."""
    place = tmp_path_factory.mktemp("signed") / "-run"  # a name that looks like an option
    audit_file(CORPUS / "scores.csv", place, AuditConfig(attributes=("race",), n_boot=100))
    sign(place, keys / "alice")
    return place


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "run"))


def said(run: Path, signer: Path | None = None) -> tuple[str, str]:
    [found] = [c for c in verify_run(run, signer=signer) if c.what == SIGNATURE_FILE]
    return found.state, found.detail


def test_a_signature_is_found_whole_and_of_its_key(run, keys):
    state, detail = said(run, keys / "alice.pub")
    assert state == "ok" and "ED25519 key SHA256:" in detail
    state, detail = said(run)
    assert state == "not checked" and "say whose it must be with --signer" in detail
    assert not [c for c in verify_run(run, signer=keys / "alice.pub") if c.state == "changed"]


def test_openssh_alone_reads_it(run, keys, tmp_path):
    (tmp_path / "allowed").write_text(f"alice@example.org {(keys / 'alice.pub').read_text()}")
    command = ["ssh-keygen", "-Y", "verify", "-f", str(tmp_path / "allowed"), "-I", "alice@example.org"]
    command += ["-n", NAMESPACE, "-s", str(run / SIGNATURE_FILE)]
    done = subprocess.run(command, input=(run / "SHA256SUMS").read_bytes(), capture_output=True, check=False)
    assert done.returncode == 0 and b'Good "fake-face-fairness-audit" signature' in done.stdout


def test_another_key_and_no_signature_are_named(run, keys):
    state, detail = said(run, keys / "mallory.pub")
    assert state == "changed" and "it was made with another key, ED25519 key SHA256:" in detail
    (run / SIGNATURE_FILE).unlink()
    state, detail = said(run, keys / "alice.pub")
    assert state == "changed" and "it is not there" in detail
    assert read_signature(run) is None and not [c for c in verify_run(run) if c.what == SIGNATURE_FILE]


def test_whoever_changes_a_file_and_its_hash_cannot_sign_for_another(run, keys):
    """The attack that hashes alone do not notice."""
    table = run / "scores.parquet"
    table.write_bytes(table.read_bytes() + b"x")
    sums = run / "SHA256SUMS"
    digest = signature.file_sha256(table)
    lines = [
        f"{digest}  scores.parquet" if "scores" in line else line for line in sums.read_text().splitlines()
    ]
    sums.write_text("\n".join(lines) + "\n")
    assert said(run) == ("changed", "it is not of this SHA256SUMS, or damaged")
    sign(run, keys / "mallory")
    assert said(run, keys / "alice.pub")[0] == "changed"


def test_a_signature_for_something_else_does_not_count(run, keys):
    sums = run / "SHA256SUMS"
    command = ["ssh-keygen", "-Y", "sign", "-q", "-f", str(keys / "alice"), "-n", "git"]
    made = subprocess.run(command, input=sums.read_bytes(), capture_output=True, check=True)
    (run / SIGNATURE_FILE).write_bytes(made.stdout)
    assert said(run, keys / "alice.pub")[0] == "changed"


@pytest.mark.parametrize(
    "damaged", [b"", b"\xff\xfe", b"-----BEGIN SSH SIGNATURE-----\n!\n", b"x" * (1 << 17)]
)
def test_a_damaged_signature_is_named(run, keys, damaged):
    (run / SIGNATURE_FILE).write_bytes(damaged)
    for signer in (None, keys / "alice.pub"):
        assert said(run, signer)[0] == "changed"


def test_every_bit_of_the_sums_is_signed(run, keys):
    sums = run / "SHA256SUMS"
    data = bytearray(sums.read_bytes())
    data[len(data) // 2] ^= 1
    sums.write_bytes(data)
    assert said(run, keys / "alice.pub")[0] == "changed"


def test_what_was_changed_is_not_signed(run, keys):
    (run / "scores.parquet").write_bytes(b"x")
    before = (run / SIGNATURE_FILE).read_bytes()
    with pytest.raises(RunFolderError, match=r"scores\.parquet is not what SHA256SUMS says: nothing was sig"):
        sign(run, keys / "alice")
    assert (run / SIGNATURE_FILE).read_bytes() == before
    with pytest.raises(RunFolderError, match=r"no audit\.json in .*; sign the folder"):
        sign(keys, keys / "alice")


def test_keys_that_are_none(run, keys, tmp_path, monkeypatch):
    (tmp_path / "none").write_text("no key\n")
    with pytest.raises(SignatureError, match=r"no key at .*: name a private SSH key"):
        sign(run, tmp_path / "absent")
    with pytest.raises(SignatureError, match=r"none cannot sign: .*; it must be an SSH key"):
        sign(run, tmp_path / "none")
    with pytest.raises(
        SignatureError, match=r"none holds no public SSH key; give the signer's id_ed25519\.pub"
    ):
        verify_run(run, signer=tmp_path / "none")
    monkeypatch.setattr(signature.shutil, "which", lambda _: None)
    with pytest.raises(SignatureError, match="signatures need ssh-keygen of OpenSSH"):
        sign(run, keys / "alice")
    assert said(run)[0] == "not checked"


def test_from_the_command_line(run, keys, capsys):
    for arguments, code in (
        (["sign", str(run), "--key", str(keys / "mallory")], 0),
        (["verify", str(run), "--signer", str(keys / "mallory.pub")], 0),
        (["verify", str(run), "--signer", str(keys / "alice.pub")], 1),
    ):
        with pytest.raises(SystemExit, match=rf"^{code}$"):
            main(arguments)
    assert "ok            SHA256SUMS.sig: by ECDSA key SHA256:" in capsys.readouterr().out
