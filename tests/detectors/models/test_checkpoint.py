"""The checkpoint format: round trip, and every hostile file refused in one line."""

import io
import os
import pickle
import zipfile

import pytest
import torch

from detectors.data.preprocessing import Preprocessing
from detectors.errors import CheckpointFormatError, CheckpointTooLarge, DetectorNotFound
from detectors.models import architectures as zoo
from detectors.models.checkpoint import load_checkpoint, save_checkpoint


@pytest.fixture
def network():
    torch.manual_seed(0)
    return zoo.build("simplenet").eval()


def written(path, network, **changes):
    """A checkpoint with some of its fields changed afterwards."""
    save_checkpoint(path, "simplenet", network, Preprocessing(size_px=16), {"trained_on": ["a"]})
    record = torch.load(path, weights_only=True)
    record.update(changes)
    torch.save(record, path)
    return path


def test_round_trip_scores_the_same(tmp_path, network):
    path = save_checkpoint(
        tmp_path / "a.pt", "simplenet", network, Preprocessing(size_px=16), {"trained_on": ["x"]}
    )
    detector = load_checkpoint(path)
    batch = torch.rand(3, 3, 16, 16)
    prepared = (batch - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / torch.tensor(
        [0.229, 0.224, 0.225]
    ).view(3, 1, 1)
    expected = network(prepared).double().softmax(1)[:, 1]
    torch.testing.assert_close(detector.score(batch), expected.detach(), atol=1e-6, rtol=0)
    assert (detector.name, detector.arch, detector.provenance) == ("a", "simplenet", {"trained_on": ["x"]})
    assert detector.preprocessing == Preprocessing(size_px=16)


def test_equal_networks_give_equal_bytes_whatever_the_name(tmp_path, network):
    paths = [
        save_checkpoint(tmp_path / name, "simplenet", network, Preprocessing(), {})
        for name in ("a.pt", "b.pt")
    ]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.pt", "b.pt"]


def test_missing_file_says_what_to_do(tmp_path):
    with pytest.raises(DetectorNotFound, match=r"no detector at .*none.pt: train one with `audit train"):
        load_checkpoint(tmp_path / "none.pt")


class _Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_code_in_the_pickle_is_named_and_not_run(tmp_path):
    path = tmp_path / "evil.pt"
    torch.save({"format": "fake-face-detector", "bomb": _Bomb(tmp_path / "pwned")}, path)
    with pytest.raises(
        CheckpointFormatError, match=r"holds code or objects \(posix.mkdir\).*nothing of it was run"
    ):
        load_checkpoint(path)
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_bare_pickle_is_refused_and_not_run(tmp_path, protocol):
    path = tmp_path / "evil.pt"
    path.write_bytes(pickle.dumps(_Bomb(tmp_path / "pwned"), protocol=protocol))
    with pytest.raises(CheckpointFormatError, match="not a checkpoint, or a truncated one"):
        load_checkpoint(path)
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_truncated_file(tmp_path, network, share):
    path = written(tmp_path / "a.pt", network)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(CheckpointFormatError, match="not a checkpoint, or a truncated one"):
        load_checkpoint(path)


def test_damaged_bytes_inside(tmp_path, network):
    path = written(tmp_path / "a.pt", network)
    data = bytearray(path.read_bytes())
    at = data.find(b"data.pkl")
    data[at + 100 : at + 140] = b"\xff" * 40
    path.write_bytes(bytes(data))
    with pytest.raises(CheckpointFormatError, match=r"a\.pt: "):
        load_checkpoint(path)


def test_zip_bomb_is_refused_unopened(tmp_path):
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\0" * (8 << 20))
    with pytest.raises(CheckpointTooLarge, match=r"compressed like a zip bomb.*refused unopened"):
        load_checkpoint(path)


_SIX_GIB = b"\x8a\x08" + (6 << 30).to_bytes(8, "little") + b"\x85R"


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (b"cbuiltins\nbytearray\n" + _SIX_GIB, "names bytearray, which no weights need; refused"),
        (
            b"\x8c\x08builtins\x8c\x09bytearray\x93" + _SIX_GIB,
            "calls something in a way that torch.save",
        ),
        (b"c_codecs\nencode\nX\x01\0\0\0aX\x03\0\0\0hex\x86R", "names encode, which no weights need"),
    ],
)
def test_memory_out_of_nothing_is_refused_unread(tmp_path, call, why):
    """818 bytes that take 6 GiB: torch allows `bytearray`, and `encode` grows what it is given."""
    path = tmp_path / "grows.pt"
    torch.save({"format": "x"}, path)
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in entries.items():
            archive.writestr(name, b"\x80\x02" + call + b"." if name.endswith("data.pkl") else data)
    with pytest.raises(CheckpointFormatError, match=rf"grows\.pt: {why}"):
        load_checkpoint(path)


def test_declared_giant_is_refused_unopened(tmp_path):
    path = tmp_path / "giant.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"x")
    data = path.read_bytes().replace((1).to_bytes(4, "little") * 2, (0xFFFFFFF0).to_bytes(4, "little") * 2)
    path.write_bytes(data * 1)
    with pytest.raises((CheckpointTooLarge, CheckpointFormatError), match=r"giant\.pt"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "other"}, "not a checkpoint written by `audit train`"),
        ({"version": 2}, "checkpoint version 2; this program reads version 1: update it"),
        ({"arch": "nonet"}, "no architecture 'nonet'"),
        ({"arch": "resnet18"}, r"weights do not fit resnet18: the file lacks 'bn1.bias' \(\d+ missing"),
        ({"arch": 3}, "the field 'arch' is missing or not a str"),
        ({"arch_options": {"n_classes": 10**9}}, "with 1000000000 classes"),
        ({"arch_options": {"width": 1}}, "arch_options are"),
        ({"preprocessing": {"size_px": 10**6}}, "size_px is 1000000"),
        ({"preprocessing": {"size": 3}}, "unknown key 'size'"),
        ({"output": {"kind": "guess"}}, "output is 'guess'"),
        ({"provenance": []}, "the field 'provenance' is missing or not a dict"),
    ],
)
def test_wrong_content(tmp_path, network, changes, message):
    with pytest.raises(CheckpointFormatError, match=message):
        load_checkpoint(written(tmp_path / "a.pt", network, **changes))


def test_wrong_shape_names_the_weight(tmp_path, network):
    state = network.state_dict() | {"9.bias": torch.zeros(3)}
    with pytest.raises(CheckpointFormatError, match=r"'9.bias' is \(3,\), wanted \(2,\)"):
        load_checkpoint(written(tmp_path / "a.pt", network, state_dict=state))


def test_stretched_tensor_takes_no_memory(tmp_path, network):
    state = network.state_dict() | {"9.bias": torch.zeros(1).expand(10**12)}
    with pytest.raises(CheckpointFormatError, match=r"'9.bias' is \(1000000000000,\)"):
        load_checkpoint(written(tmp_path / "a.pt", network, state_dict=state))


def test_nan_weights(tmp_path, network):
    state = network.state_dict() | {"9.bias": torch.tensor([0.0, float("nan")])}
    with pytest.raises(CheckpointFormatError, match=r"'9.bias' holds NaN or infinity"):
        load_checkpoint(written(tmp_path / "a.pt", network, state_dict=state))


def test_not_a_dictionary(tmp_path):
    path = tmp_path / "list.pt"
    buffer = io.BytesIO()
    torch.save([1, 2], buffer)
    path.write_bytes(buffer.getvalue())
    with pytest.raises(CheckpointFormatError, match="not a checkpoint written by `audit train`"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("bias", "what"),
    [
        (torch.zeros(2, device="meta"), r"a shape without values \(meta\)"),
        (torch.zeros(2).to_sparse(), "sparse_coo"),
        (torch.quantize_per_tensor(torch.zeros(2), 0.1, 0, torch.qint8), "qint8"),
        (torch.zeros(2, dtype=torch.complex64), "complex64"),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
def test_weights_that_are_no_plain_numbers(tmp_path, network, bias, what):
    state = network.state_dict() | {"9.bias": bias}
    with pytest.raises(
        CheckpointFormatError, match=rf"'9.bias' is {what}; weights must be plain dense numbers"
    ):
        load_checkpoint(written(tmp_path / "a.pt", network, state_dict=state))


def laughs(depth=40):
    """Nothing in a file, 2 to the power of 40 values when written out."""
    value = ["ha"]
    for _ in range(depth):
        value = [value, value]
    return value


def circular():
    value = []
    value.append(value)
    return value


def deep(depth=60):
    value = "end"
    for _ in range(depth):
        value = {"more": value}
    return value


@pytest.mark.parametrize(
    ("provenance", "message"),
    [
        ({"x": laughs()}, "the field 'provenance' holds more than 5,000,000 values"),
        ({"x": circular()}, "the field 'provenance' holds more than .* or itself"),
        ({"x": deep()}, "more than 50 lists in each other"),
        ({"x": torch.zeros(3)}, "the field 'provenance' holds a Tensor; only numbers, texts"),
        ({"x": 10**400}, "the field 'provenance' holds a int"),
        ({torch.float32: 1}, "the field 'provenance' holds a dtype"),
    ],
)
def test_provenance_that_cannot_be_written_down(tmp_path, network, provenance, message):
    with pytest.raises(CheckpointFormatError, match=message):
        load_checkpoint(written(tmp_path / "a.pt", network, provenance=provenance))
