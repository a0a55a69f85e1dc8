"""What the tests of this package share."""

import hashlib
import json
from dataclasses import asdict

import pytest
import torch
from safetensors.torch import save_file

from pipelines.generators.psp.config import PSPConfig
from pipelines.generators.psp.decoder import Decoder
from pipelines.generators.psp.encoder import Encoder
from pipelines.rendered import render_population


@pytest.fixture(scope="session")
def drawn(tmp_path_factory):
    """A drawn population of 24 train and 8 val faces in FairFace's layout; read only."""
    return render_population(tmp_path_factory.mktemp("population"), n_train=24, n_val=8, seed=1)


@pytest.fixture(scope="module")
def one_thread():
    """Torch on one thread, for networks so small that threads only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def write_generator(path, config, seed=0, **header):
    """Untrained weights of a pSp configuration, written as the embedded generator's are."""
    torch.manual_seed(seed)
    parts = {"encoder": Encoder(config), "decoder": Decoder(config)}
    state = {
        f"{part}.{k}": v.contiguous() for part, net in parts.items() for k, v in net.state_dict().items()
    }
    about = {"format": "psp", "name": "tiny", "config": json.dumps(asdict(config)), "crop": "tight", **header}
    save_file(state, path, metadata=about)
    return path


@pytest.fixture(scope="session")
def tiny_generator(tmp_path_factory):
    """An untrained pSp network of 32 px output, for everything that does not look at the faces."""
    config = PSPConfig(
        output_size_px=32, input_size_px=32, style_dim=16, encoder_channels=(8, 8, 8, 8, 8),
        encoder_units=(1, 1, 1, 1), decoder_channels=(8, 8, 8, 8), n_mapping_layers=0,
    )  # fmt: skip
    return write_generator(tmp_path_factory.mktemp("weights") / "tiny.safetensors", config)


@pytest.fixture(scope="session")
def tree():
    """A function: every file below a folder by relative name, with the sha256 of its bytes."""

    def digests(folder):
        files = sorted(p for p in folder.rglob("*") if p.is_file())
        return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}

    return digests
