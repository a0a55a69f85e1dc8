"""Detectors that look at nothing, and the disparity measures they get: what any figure must be read beside.

Enters: the counts of k groups. Leaves: their rates under three detectors: one that flags nothing, one that
flags everything, one that flags at random as often as the audited one.

Why: the first two have a gap of 0 in every rate, the third shows what chance alone does to groups of these
sizes. A fairness figure that is no better than theirs says nothing in favour of a detector.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from audit.data.counts import Counts, Floats, Ints, Numbers
from audit.inference.effective_sample_size import as_independent
from audit.metrics.disparity import GroupRates, Measure, group_rates_of
from audit.schema.gates import NoSkill

N_DRAWS = 500
"""Draws of the random detector; the Monte Carlo error of a mean is a few per cent of it."""


@dataclass(frozen=True)
class NoSkillRates:
    """Rates of k groups under the three.

    Attributes:
        always_real: [k].
        always_fake: [k].
        random: [N_DRAWS, k].
    """

    always_real: GroupRates
    always_fake: GroupRates
    random: GroupRates

    def of(self, measure: Measure) -> NoSkill:
        """One measure of each; undefined where it divides by zero, for most draws of the random one."""
        drawn = measure.compute(self.random)
        defined = drawn[np.isfinite(drawn)]
        return NoSkill(
            always_real=_number(measure.compute(self.always_real)),
            always_fake=_number(measure.compute(self.always_fake)),
            random=float(defined.mean()) if 2 * len(defined) > len(drawn) else math.nan,
        )


def no_skill_rates(counts: Counts, share: float, rng: np.random.Generator) -> NoSkillRates:
    """Rates of these groups under detectors that look at nothing.

    Args:
        counts: Of k groups, without replicates, in an order that names cannot change.
        share: Of all images that the audited detector flags, in 0-1.
        rng: For the random one.
    """
    n_real, n_fake = counts.n_real, counts.n_fake
    none_real, none_fake = np.zeros_like(n_real), np.zeros_like(n_fake)
    independent = as_independent(counts)
    m_real, m_fake = independent.n_real, independent.n_fake
    size = (N_DRAWS, len(m_real))
    flagged, missed = rng.binomial(m_real, share, size), rng.binomial(m_fake, 1 - share, size)
    return NoSkillRates(
        group_rates_of(_counts(n_real, none_real, n_fake, n_fake)),
        group_rates_of(_counts(n_real, n_real, n_fake, none_fake)),
        group_rates_of(_counts(m_real, flagged, m_fake, missed)),
    )


def _number(value: Floats) -> float:
    """A plain number; the one NaN there is for what is undefined, so that equal records are equal."""
    return math.nan if np.isnan(value) else float(value)


def _counts(n_real: Numbers, fp: Numbers, n_fake: Numbers, fn: Numbers) -> Counts:
    """Single images with so many errors."""
    reals: Ints = np.stack(np.broadcast_arrays(n_real - fp, fp), axis=-1)
    fakes: Ints = np.stack(np.broadcast_arrays(n_fake - fn, fn), axis=-1)
    return Counts(np.zeros((*reals.shape[:-1], 2, 2), dtype=np.int64), reals, fakes)
