"""The architectures that can be trained here: one readable dictionary.

Enters: a name and a number of classes. Leaves: a torch network that maps [B, 3, H, W] to [B, n_classes]
logits, class 0 being real.

Why ImageNet weights are asked for and not assumed: machines without a network cannot fetch them.
`load_imagenet` then says so in one line, which is printed and recorded, and training starts from random
weights.
Why torchvision is imported inside functions: it imports torch's compiler, which takes three seconds, and most
detectors need none of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from detectors.data.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing
from detectors.errors import UnknownArchitecture
from detectors.models import networks
from pipelines.errors import MissingExtra

Weights = Callable[[], Mapping[str, Tensor]]
HALF = (0.5, 0.5, 0.5)
MAX_CLASSES = 1000
IMAGENET = "ImageNet weights"
"""What `load_imagenet` says when it has loaded them."""


@dataclass(frozen=True)
class Architecture:
    """One entry of the zoo.

    Attributes:
        build: From the number of classes to a network with random weights.
        head: Prefixes of the parameters of the classifier, trained at the head's own rate.
        weights: Fetches ImageNet weights, or None where there are none.
        size_px: Usual input size.
        mean: Usual normalisation.
        std: Usual normalisation.
        about: One line for people.
    """

    build: Callable[[int], nn.Module]
    head: tuple[str, ...]
    weights: Weights | None
    size_px: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    about: str

    @property
    def preprocessing(self) -> Preprocessing:
        """The usual preparation of images for this network."""
        return Preprocessing(size_px=self.size_px, mean=self.mean, std=self.std)


def _own(build: Callable[[int], nn.Module], head: str, about: str) -> Architecture:
    """A network of `networks`, at 128 px, without ImageNet weights."""
    return Architecture(build, (head,), None, 128, HALF, HALF, about)


def _torchvision(name: str, head: str, about: str, size_px: int = 224, **options: Any) -> Architecture:
    """A network of torchvision under its own name; Inception's weights were made for inputs in -1 to 1."""

    def build(n_classes: int) -> nn.Module:
        from torchvision.models import get_model

        return get_model(name, weights=None, num_classes=n_classes, **options)

    def weights() -> Mapping[str, Tensor]:
        from torchvision.models import get_model_weights

        best = get_model_weights(name).DEFAULT
        return cast(Mapping[str, Tensor], best.get_state_dict(progress=False, check_hash=True))

    if name == "inception_v3":
        return Architecture(build, (head, "AuxLogits.fc."), weights, size_px, HALF, HALF, about)
    return Architecture(build, (head,), weights, size_px, IMAGENET_MEAN, IMAGENET_STD, about)


def _timm() -> Any:
    """The package timm, or a clear line."""
    try:
        import timm
    except ImportError:
        raise MissingExtra("this architecture", "timm", "train") from None
    return timm


def _xception(n_classes: int) -> nn.Module:
    xception = _timm().create_model("legacy_xception", pretrained=False, num_classes=1000)
    return networks.XceptionWithHead(xception, n_classes)


def _xception_weights() -> Mapping[str, Tensor]:
    state = _timm().create_model("legacy_xception", pretrained=True, num_classes=1000).state_dict()
    return {f"xception.{key}": value for key, value in state.items()}


ZOO: dict[str, Architecture] = {
    "simplenet": _own(networks.simplenet, "9.", "six convolutions, 0.3 M parameters, trains on a CPU"),
    "baseline_cnn": _own(networks.baseline_cnn, "15.", "three convolutions, dropout"),
    "vgg10": _own(networks.vgg10, "17.", "eight convolutions, two fully connected layers, batch norm"),
    "spectrum": replace(
        _own(networks.spectrum, "5.", "power by frequency, one hidden layer; learns in seconds"), size_px=256
    ),
    "srm_cnn": replace(
        _own(networks.srm_cnn, "7.", "fixed high-pass filters, four convolutions; learns in minutes"),
        size_px=256,
    ),
    "alexnet": _torchvision("alexnet", "classifier.6.", "AlexNet"),
    "resnet18": _torchvision("resnet18", "fc.", "ResNet-18"),
    "resnet50": _torchvision("resnet50", "fc.", "ResNet-50"),
    "vgg16": _torchvision("vgg16", "classifier.6.", "VGG-16"),
    "vgg19": _torchvision("vgg19", "classifier.6.", "VGG-19"),
    "inception_v3": _torchvision(
        "inception_v3", "fc.", "Inception v3 with its auxiliary loss", 299, init_weights=False
    ),
    "xception": Architecture(
        _xception, ("head.",), _xception_weights, 299, HALF, HALF, "Xception, head 1000-256-64-2 (timm)"
    ),
    "densenet121": _torchvision("densenet121", "classifier.", "DenseNet-121"),
    "efficientnet_b0": _torchvision("efficientnet_b0", "classifier.1.", "EfficientNet-B0"),
    "mobilenet_v3_small": _torchvision("mobilenet_v3_small", "classifier.3.", "MobileNet v3, small"),
    "mobilenet_v3_large": _torchvision("mobilenet_v3_large", "classifier.3.", "MobileNet v3, large"),
}
"""Name to architecture; any network of timm is there besides, as `timm:NAME`."""


def architecture(name: str) -> Architecture:
    """Look a name up.

    Args:
        name: A key of `ZOO`, or `timm:` and a name timm knows.

    Raises:
        UnknownArchitecture: for any other name.
        MissingExtra: for a timm name where timm is not installed.
    """
    if name in ZOO:
        return ZOO[name]
    if name.startswith("timm:"):
        return _timm_architecture(name.removeprefix("timm:"))
    raise UnknownArchitecture(
        f"no architecture {name!r}; known are {', '.join(sorted(ZOO))}, and timm:NAME for any network of timm"
    )


def _timm_architecture(name: str) -> Architecture:
    """Wrap a network of timm with the sizes and constants timm records for it."""
    timm = _timm()
    if not timm.is_model(name):
        raise UnknownArchitecture(f"timm has no network {name!r}; list them with timm.list_models()")
    config = timm.get_pretrained_cfg(name, allow_unregistered=True)
    heads = (config.classifier,) if isinstance(config.classifier, str) else tuple(config.classifier or ())
    return Architecture(
        build=lambda n_classes: timm.create_model(name, pretrained=False, num_classes=n_classes),
        head=tuple(f"{head}." for head in heads),
        weights=partial(_timm_weights, name),
        size_px=int(config.input_size[-1]),
        mean=tuple(config.mean),
        std=tuple(config.std),
        about=f"{name} of timm",
    )


def _timm_weights(name: str) -> Mapping[str, Tensor]:
    return cast(Mapping[str, Tensor], _timm().create_model(name, pretrained=True).state_dict())


def build(name: str, n_classes: int = 2, least: int = 2) -> nn.Module:
    """Build a network with random weights.

    Args:
        name: See `architecture`.
        n_classes: Number of outputs, at most 1000; class 0 is real.
        least: The fewest allowed: 2 for what is trained here, 1 for heads of others that give one logit.

    Returns:
        The network, in training mode.

    Raises:
        UnknownArchitecture: for a name nobody knows, or an impossible number of classes.
    """
    chosen = architecture(name)
    if type(n_classes) is not int or not least <= n_classes <= MAX_CLASSES:
        raise UnknownArchitecture(f"{name} with {n_classes!r} classes: {least} to {MAX_CLASSES} are possible")
    return chosen.build(n_classes)


def takes_size(name: str, size_px: int) -> bool:
    """Whether a network can be trained on images of this size; tried without memory, on the meta device."""
    with torch.device("meta"):
        network = architecture(name).build(2)
        try:
            network(torch.empty(2, 3, size_px, size_px))
        except RuntimeError:  # a kernel larger than what is left of the image
            return False
    return True


def load_imagenet(network: nn.Module, name: str) -> str:
    """Copy ImageNet weights into everything but the head, where they can be had.

    Args:
        network: What `build` gave for `name`; changed in place.
        name: See `architecture`.

    Returns:
        What the network starts from, in words: `IMAGENET`, or "random weights" and why.
    """
    chosen = architecture(name)
    if chosen.weights is None:
        return f"random weights: there are no ImageNet weights of {name}"
    try:
        weights = chosen.weights()
    except (OSError, RuntimeError) as error:  # no network (URLError is an OSError), or a broken download
        reason = (str(error) or type(error).__name__).splitlines()[0]
        return f"random weights: the ImageNet weights of {name} cannot be had here ({reason})"
    body = {key: value for key, value in weights.items() if not key.startswith(chosen.head)}
    network.load_state_dict(body, strict=False)
    return IMAGENET
