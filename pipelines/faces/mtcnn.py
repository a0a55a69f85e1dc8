"""MTCNN (Zhang et al. 2016, "Joint Face Detection and Alignment using Multi-task Cascaded Convolutional
Networks") over a batch of photos of one size, without a loop over photos or candidates.

Enters: uint8 photos [N,H,W,3] of one size. Leaves: the boxes, probabilities and landmarks of their faces.

Three networks, each asked only about what the one before it let through: the first slides over a pyramid of
shrunk photos, the second and third look at the candidates cut out at 24 and 48 px. The networks and their
weights are those of facenet-pytorch's wheel; so are the thresholds, the pyramid's factor, the rounding and
the order of steps, so that a photo gives the faces that `facenet_pytorch.MTCNN.detect` gives for it alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from pipelines.faces.area_resampling import MAX_SIDE_PX, Bins, Sums, bins
from pipelines.faces.mtcnn_networks import network, nms

CELL_PX: Final = 12
"""Side of what the first network sees at one place."""
_STRIDE_PX: Final = 2
"""Between two such places."""
_FACTOR: Final = 0.709
"""From one level of the pyramid to the next."""
_THRESHOLDS: Final = (0.6, 0.7, 0.7)
"""Least probability of a face in each network."""
_OVERLAPS: Final = (0.5, 0.7, 0.7, 0.7)
"""Largest overlap of two boxes: within a level, within a photo, after the second network, after the third."""
REFINED_PX: Final = 24
"""Side of what the second network sees."""
FINAL_PX: Final = 48
"""Side of what the third network sees."""
_CPU_BUDGET: Final = (2**20, 128, 32)
"""Pixels of photos, crops of 24 px and crops of 48 px worked on at once: as much as caches hold."""
_BLOCK_ROWS: Final = 32
"""Rows of a matrix product on a CPU."""
_GPU_BUDGET: Final = (2**23, 4096, 2048)
"""The same: about 2 GiB as reckoned, not measured."""


@dataclass(frozen=True)
class Found:
    """F faces in a batch of photos, by photo, the most probable of a photo first."""

    photos: np.ndarray
    """int64 [F]: which photo."""
    boxes: np.ndarray
    """float32 [F,4]: left, top, right, bottom in pixels."""
    probabilities: np.ndarray
    """float32 [F]: 0 to 1."""
    landmarks: np.ndarray
    """float32 [F,5,2]: eyes, nose, corners of the mouth, x and y in pixels."""


@dataclass(frozen=True)
class Candidates:
    """M boxes that may hold a face."""

    boxes: Tensor
    """float32 [M,4]."""
    scores: Tensor
    """float32 [M]."""
    photos: Tensor
    """int64 [M]: which photo of the batch."""

    def __getitem__(self, which: Tensor) -> Candidates:
        return Candidates(self.boxes[which], self.scores[which], self.photos[which])


@dataclass(frozen=True)
class Pyramid:
    """Where the first network looks, in photos of one size."""

    levels: tuple[tuple[Bins, Bins], ...]
    """Rows and columns of each shrunk photo."""
    boxes: Tensor
    """float32 [C,4]: what each place stands for in the photo; level by level, row by row."""
    level: Tensor
    """int64 [C]: the level of each place."""


class Shrinking(Protocol):
    """Photos of one size, parts of which can be had smaller."""

    n_photos: int
    height: int
    width: int

    def means(self, photos: Tensor, rows: Bins, columns: Bins) -> Tensor:
        """As `Sums.means`."""


class Mtcnn:
    """The cascade of three networks.

    Args:
        device: torch device.
    """

    def __init__(self, device: str | torch.device = "cpu") -> None:
        self._device = torch.device(device)
        nets = [network(i).to(self._device).to(memory_format=torch.channels_last) for i in range(3)]
        if self._device.type == "cpu":
            for net in nets:
                _pool_in_two_steps(net)
                _multiply_in_blocks(net)
        self._first, self._second, self._third = nets
        self._budget = _CPU_BUDGET if self._device.type == "cpu" else _GPU_BUDGET

    def search(self, photos: np.ndarray, min_face_px: int) -> Found:
        """Find the faces in photos of one size; what is in one has no influence on another.

        On a CPU the same bits come out whatever photos stand beside one; on a GPU the last bits may differ.

        Args:
            photos: RGB uint8 [N,H,W,3], H and W at most `MAX_SIDE_PX`.
            min_face_px: the smallest face to look for.

        Returns:
            The faces; none in photos smaller than `min_face_px`.

        Raises:
            ValueError: photos of another shape or type, or too large.
        """
        _check(photos, min_face_px)
        at_once = max(1, self._budget[0] // max(1, photos[0].size // 3)) if len(photos) else 1
        with torch.inference_mode():
            parts = [
                self._search(photos[i : i + at_once], i, min_face_px)
                for i in range(0, len(photos), at_once)
                if min(photos.shape[1:3]) >= min_face_px
            ]
        return _joined(parts)

    @torch.no_grad()
    def candidates(self, photos: np.ndarray, min_face_px: int) -> tuple[Candidates, Candidates]:
        """What the second network is asked about, and what the third, with the scores they came with.

        Arguments and errors as `search` has them; all photos are worked on at once.
        """
        _check(photos, min_face_px)
        sums = Sums(torch.tensor(np.ascontiguousarray(photos), device=self._device))
        second = self._proposed(sums, pyramid_of(photos.shape[1], photos.shape[2], min_face_px, self._device))
        return second, self._refined(sums, second)

    def _search(self, photos: np.ndarray, number: int, min_face_px: int) -> Found:
        """Faces of photos that fit in memory, the first of which is the batch's `number`-th."""
        sums = Sums(torch.tensor(np.ascontiguousarray(photos), device=self._device))
        pyramid = pyramid_of(photos.shape[1], photos.shape[2], min_face_px, self._device)
        return self._confirmed(sums, self._refined(sums, self._proposed(sums, pyramid)), number)

    def _proposed(self, sums: Sums, pyramid: Pyramid) -> Candidates:
        """What the first network takes for faces, as squares."""
        photos = torch.arange(sums.n_photos, device=self._device)
        shifts, scores = [], []
        for rows, columns in pyramid.levels:
            shift, probability = self._first(sums.means(photos, rows, columns))
            shifts.append(shift.permute(0, 2, 3, 1).flatten(1, 2))
            scores.append(probability[:, 1].flatten(1))
        score = torch.cat(scores, 1)
        photo, place = (score >= _THRESHOLDS[0]).nonzero(as_tuple=True)
        seen = Candidates(pyramid.boxes[place], score[photo, place], photo)
        kept = _apart(seen, photo * len(pyramid.levels) + pyramid.level[place], _OVERLAPS[0])
        kept = kept[_apart(seen[kept], photo[kept], _OVERLAPS[1])]
        boxes = seen.boxes[kept]
        shift = torch.cat(shifts, 1)[photo[kept], place[kept]]
        return Candidates(_squared(_moved(boxes, shift, 0)), seen.scores[kept], photo[kept])

    def _refined(self, sums: Sums, seen: Candidates) -> Candidates:
        """What the second network still takes for faces, as squares."""
        if not len(seen.boxes):
            return seen
        (shift, probability), inside = asked(self._second, sums, seen, REFINED_PX, self._budget[1])
        kept = ((probability[:, 1] > _THRESHOLDS[1]) & inside).nonzero()[:, 0]
        sure = Candidates(seen.boxes[kept], probability[kept, 1], seen.photos[kept])
        apart = _apart(sure, sure.photos, _OVERLAPS[2])
        sure, shift = sure[apart], shift[kept[apart]]
        return Candidates(_squared(_moved(sure.boxes, shift, 1)), sure.scores, sure.photos)

    def _confirmed(self, sums: Sums, seen: Candidates, number: int) -> Found:
        """What the third network takes for faces, with landmarks; `number` is added to the photos'."""
        if not len(seen.boxes):
            return _joined([])
        (shift, points, probability), inside = asked(self._third, sums, seen, FINAL_PX, self._budget[2])
        kept = ((probability[:, 1] > _THRESHOLDS[2]) & inside).nonzero()[:, 0]
        boxes = seen.boxes[kept]
        size = boxes[:, None, 2:] - boxes[:, None, :2] + 1
        marks = size * points[kept].view(-1, 2, 5).mT + boxes[:, None, :2] - 1
        values = (seen.photos[kept], _moved(boxes, shift[kept], 1), probability[kept, 1], marks)
        photos, boxes_, scores, marks_ = (v.cpu().numpy() for v in values)
        last = _alone(boxes_, scores, photos, _OVERLAPS[3])
        return Found(photos[last] + number, boxes_[last], scores[last], marks_[last])


class _Pooling(nn.Module):
    """Maximum pooling with a stride of 2, rounded up: first of rows, then of columns.

    Why not torch's own: on a CPU it finds the places of the maxima too and takes three times as long.
    """

    def __init__(self, size_px: int) -> None:
        super().__init__()
        self._size_px = size_px

    def forward(self, x: Tensor) -> Tensor:
        """Pool [N,C,H,W] to [N,C,H',W']."""
        for axis in (2, 3):
            n = -(-(x.shape[axis] - self._size_px) // 2) + 1
            last = (slice(None),) * axis
            best = x[*last, : 2 * n : 2].clone(memory_format=torch.channels_last)
            for offset in range(1, self._size_px):
                # The last window may reach over the edge.
                other = x[*last, offset : offset + 2 * n - 1 : 2]
                reached = best.narrow(axis, 0, other.shape[axis])
                torch.maximum(reached, other, out=reached)
            x = best
        return x


class _LinearInBlocks(nn.Module):
    """A linear layer that multiplies `_BLOCK_ROWS` rows at a time, zeros behind the last.

    Why: a CPU's matrix product adds in another order for another number of rows, so that an answer's last
    bits would depend on how many candidates the photos beside it have. Convolutions and pooling do not.
    """

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self._layer = layer

    def forward(self, x: Tensor) -> Tensor:
        """Multiply [N,features]."""
        n = len(x)
        padded = nn.functional.pad(x, (0, 0, 0, -n % _BLOCK_ROWS))
        return torch.cat([self._layer(rows) for rows in padded.split(_BLOCK_ROWS)])[:n]


def _pool_in_two_steps(network: nn.Module) -> None:
    for name, part in list(network.named_children()):
        if isinstance(part, nn.MaxPool2d):
            assert isinstance(part.kernel_size, int)
            setattr(network, name, _Pooling(part.kernel_size))


def _multiply_in_blocks(network: nn.Module) -> None:
    for name, part in list(network.named_children()):
        if isinstance(part, nn.Linear):
            setattr(network, name, _LinearInBlocks(part))


def _check(photos: np.ndarray, min_face_px: int) -> None:
    if photos.ndim != 4 or photos.shape[3] != 3 or photos.dtype != np.uint8:
        raise ValueError(f"photos are {photos.dtype} {list(photos.shape)}; they must be uint8 [N,H,W,3]")
    if max(photos.shape[1:3]) > MAX_SIDE_PX:
        raise ValueError(f"photos are {photos.shape[2]}x{photos.shape[1]} px, over {MAX_SIDE_PX}")
    if min_face_px < CELL_PX:
        raise ValueError(f"min_face_px is {min_face_px}; it must be {CELL_PX} or more")


def _joined(parts: list[Found]) -> Found:
    if not parts:
        nothing = np.zeros((0, 4), np.float32)
        return Found(np.zeros(0, np.int64), nothing, nothing[:, 0], np.zeros((0, 5, 2), np.float32))
    return Found(
        np.concatenate([p.photos for p in parts]),
        np.concatenate([p.boxes for p in parts]),
        np.concatenate([p.probabilities for p in parts]),
        np.concatenate([p.landmarks for p in parts]),
    )


@lru_cache(maxsize=64)
def pyramid_of(height: int, width: int, min_face_px: int, device: torch.device) -> Pyramid:
    """The pyramid of photos of one size, in which the smallest face becomes 12 px large."""
    levels, boxes = [], []
    scale = CELL_PX / min_face_px
    side = min(height, width) * scale
    while side >= CELL_PX:
        sizes = int(height * scale + 1), int(width * scale + 1)
        rows, columns = (bins(torch.tensor([n]), s) for n, s in zip((height, width), sizes, strict=True))
        levels.append((rows, columns))
        boxes.append(_places(*sizes, scale))
        scale, side = scale * _FACTOR, side * _FACTOR
    level = torch.cat([torch.full((len(b),), i) for i, b in enumerate(boxes)])
    there = [tuple(Bins(b.start.to(device), b.end.to(device)) for b in pair) for pair in levels]
    return Pyramid(tuple(there), torch.cat(boxes).to(device), level.to(device))  # type: ignore[arg-type]


def _places(height: int, width: int, scale: float) -> Tensor:
    """Boxes in the photo, float32 [R*C,4], of the first network's places in one level, row by row."""
    # Two convolutions of 3 px, a pooling by 2 rounded up, one more convolution.
    n_rows, n_columns = (-(-(n - 2) // 2) - 4 for n in (height, width))
    y, x = torch.meshgrid(torch.arange(n_rows), torch.arange(n_columns), indexing="ij")
    corner = _STRIDE_PX * torch.stack([x, y], -1).reshape(-1, 2).float()
    return torch.cat([((corner + 1) / scale).floor(), ((corner + CELL_PX) / scale).floor()], 1)


def _apart(seen: Candidates, groups: Tensor, overlap: float) -> Tensor:
    """Non-maximum suppression within groups: indices of those kept, best first.

    Boxes of different groups are moved apart and therefore never meet. float64 holds the moved float32
    coordinates without rounding, and the least one, negative where a box reaches over an edge, becomes zero.
    """
    if not len(seen.boxes):
        return groups
    boxes = seen.boxes.double()
    low, high = boxes.aminmax()
    return nms(boxes - low + (groups * (high - low + 1))[:, None], seen.scores.double(), overlap)


def _moved(boxes: Tensor, shift: Tensor, border_px: int) -> Tensor:
    """Boxes moved by the network's correction, [M,4] in sides of a box that is `border_px` larger."""
    size = boxes[:, 2:] - boxes[:, :2] + border_px
    return boxes + shift * size.repeat(1, 2)


def _squared(boxes: Tensor) -> Tensor:
    """Squares of the longer side about the same centres."""
    size = boxes[:, 2:] - boxes[:, :2]
    side = size.amax(1, keepdim=True)
    corner = boxes[:, :2] + size * 0.5 - side * 0.5
    return torch.cat([corner, corner + side], 1)


def asked(
    network: Callable[[Tensor], tuple[Tensor, ...]],
    sums: Shrinking,
    seen: Candidates,
    size_px: int,
    at_once: int,
) -> tuple[list[Tensor], Tensor]:
    """A network's answers about candidates cut out at `size_px`, and which of them lie in the photo at all.

    A candidate outside the photo gets a meaningless answer.
    """
    limits = torch.tensor([sums.width, sums.height], device=seen.boxes.device)
    whole = seen.boxes.trunc().long()
    start, end = whole[:, :2].clamp(min=1) - 1, whole[:, 2:].minimum(limits)
    inside = (end > start).all(1)
    start = start.minimum(limits - 1)
    length = (end - start).clamp(min=1)
    answers: list[tuple[Tensor, ...]] = []
    for part in torch.arange(len(start), device=start.device).split(at_once):
        across, down = (bins(length[part, axis], size_px) for axis in (0, 1))
        left, top = (start[part, axis, None] for axis in (0, 1))
        rows, columns = Bins(down.start + top, down.end + top), Bins(across.start + left, across.end + left)
        answers.append(network(sums.means(seen.photos[part], rows, columns)))
    return [torch.cat(each) for each in zip(*answers, strict=True)], inside


def _alone(boxes: Any, scores: Any, photos: Any, overlap: float) -> np.ndarray:
    """Suppression within photos where the overlap is a share of the smaller box, pixels counted inclusively.

    Returns:
        Indices of those kept, by photo, best first; of two with the same score the later comes first.
    """
    order = np.lexsort((-np.arange(len(boxes)), -scores, photos))
    area = (boxes[:, 2] - boxes[:, 0] + 1) * (boxes[:, 3] - boxes[:, 1] + 1)
    kept, waiting = np.zeros(len(boxes), bool), order
    while waiting.size:  # one round for each face of the fullest photo
        _, first, place = np.unique(photos[waiting], return_index=True, return_inverse=True)
        best = waiting[first][place]
        kept[best] = True
        corner = np.maximum(boxes[best, :2], boxes[waiting, :2])
        size = np.minimum(boxes[best, 2:], boxes[waiting, 2:]) - corner + 1
        shared = np.maximum(size, 0).prod(1) / np.minimum(area[best], area[waiting])
        waiting = waiting[(shared <= overlap) & (waiting != best)]
    return order[kept[order]]
