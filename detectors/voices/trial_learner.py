"""The training loop's part that is true of trials: how clips are given and what an answer costs.

Enters: a network of `networks`, `FitSettings`. Leaves: a `Learner` for `detectors.training.fit`.
"""

from __future__ import annotations

from torch import Tensor, nn

from detectors.training.learner import Learner
from detectors.training.settings import FitSettings
from detectors.voices.architectures import VerifierArchitecture, losses, scores
from detectors.voices.verifier import unit


class TrialLearner(Learner):
    """A speaker verifier with its loss."""

    def __init__(self, network: nn.Module, chosen: VerifierArchitecture, settings: FitSettings) -> None:
        self.output = chosen.output
        super().__init__(network, chosen.head, settings, warm=False)

    def prepared(self, examples: Tensor) -> Tensor:
        """Clips int16 [B, 2, n] as float32 of full scale -1 to 1."""
        return unit(examples)

    def predicted(self, outputs: Tensor) -> Tensor:
        """1 where the score says the same speaker."""
        return (scores(self.output, outputs) >= 0.5).long()

    def losses(self, logits: Tensor, classes: Tensor) -> Tensor:
        """Cross entropy or contrastive loss of every trial."""
        return losses(self.output, logits, classes, self.settings.label_smoothing)
