"""Workers compute exactly, and within the memory there is."""

import pytest
import torch

from pipelines.generators.compute import Fitting, exact, lanes_that_fit


def test_batches_shrink_once_when_memory_runs_out():
    seen = []

    def cramped(batch):
        seen.append(len(batch))
        if len(batch) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return batch * 2

    fitting, batch = Fitting(8), torch.arange(7.0)
    assert torch.equal(fitting.run(cramped, batch), batch * 2)
    assert seen == [7, 4, 2, 2, 2, 1]
    seen.clear()
    assert torch.equal(fitting.run(cramped, batch), batch * 2)
    assert seen == [2, 2, 2, 1], "the size that fits is remembered"


def test_an_image_that_does_not_fit_alone_is_an_error():
    def hopeless(batch):
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError, match="out of memory"):
        Fitting(4).run(hopeless, torch.zeros(4))


def test_float32_means_float32_and_the_callers_settings_come_back():
    backends, threads = torch.backends, torch.get_num_threads()
    backends.cudnn.allow_tf32, backends.cudnn.deterministic = True, False
    with exact(n_threads=1):
        assert torch.get_num_threads() == 1
        assert backends.cudnn.deterministic
        assert not backends.cudnn.allow_tf32
        assert not backends.cuda.matmul.allow_tf32
    assert torch.get_num_threads() == threads
    assert backends.cudnn.allow_tf32
    assert not backends.cudnn.deterministic


@pytest.mark.parametrize(
    ("free", "side", "lanes"), [(140e9, 1024, 4), (40e9, 1024, 2), (6e9, 1024, 1), (12e9, 128, 4)]
)
def test_no_more_lanes_than_a_gpu_holds(free, side, lanes):
    assert lanes_that_fit(free, side, 16) == lanes
