"""The one versioned record of an audit: `AuditResult`, written to and read from `audit.json`.

Enters: numbers computed by the other modules of `audit`. Leaves: JSON that survives the round trip,
undefined rates included (NaN is written as null and read back as NaN, never as 0.0).

Why pydantic here and frozen dataclasses elsewhere: this is the only type that crosses the JSON border, so
it is the only one that needs validation, a published schema (`audit schema`) and version handling.

Why no clock time in it: the same inputs and seed must give the same bytes; `run.json` says when and where.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal

from pydantic import model_validator

from audit.config import CriterionName
from audit.errors import ResultFormatError
from audit.schema.gates import NoSkill, RateLimit, Usefulness
from audit.schema.nullable import Interval, Rate, Record
from audit.task import Task, TaskName, task_named
from pipelines.visible import encodable

SCHEMA_VERSION = "1.6"
"""Bumped in the minor part when fields with defaults are added (older files still open as they are), in the
major part when the meaning or the place of something changes."""

OVERALL = "overall"
"""The attribute name under which numbers for all images together are filed."""

MISSING = "(missing)"
"""The group of the images that have no label: shown, never compared."""

CROSSED = "(two groups)"
"""The group of trials between people of two groups: counted and shown by both, never compared."""

UNCOMPARED = frozenset({MISSING, CROSSED})
"""Groups that take no part in gaps, tests and verdicts."""


RateName = Literal["fpr", "fnr"]

VerdictWord = Literal["disparity", "within tolerance", "insufficient evidence"]

ToleranceCheck = Literal["inside", "beyond", "unclear"]
"""Interval wholly inside the tolerance, wholly beyond it, or across its edge."""


class Config(Record):
    """What the audit was asked to do."""

    attributes: list[str]
    """Audited columns, in order; the full intersection is their names joined by ':'."""
    threshold: float
    """Decision: fake if score >= threshold."""
    threshold_rule: str
    """'fixed', or the rule it came from, such as 'eer' or 'fpr=0.01'."""
    confidence: float = 0.95
    """1 - alpha of every interval and of the verdicts."""
    tolerance: float = 0.02
    """delta: the largest acceptable gap between two rates, as a difference of proportions."""
    ratio_tolerance: tuple[float, float] = (0.8, 1.25)
    """The same for a ratio of rates."""
    min_n: int = 30
    """Cells with fewer images are shown and marked, and never drive a verdict on their own."""
    n_boot: int = 10_000
    """Bootstrap and permutation replicates that were drawn."""
    calibration_share: float = 0.0
    """Share of the pairs set aside to fix the threshold; 0 for a fixed threshold."""
    bins: dict[str, list[float]] = {}
    """Inner edges that cut numeric attributes into groups."""
    seed: int = 0
    """Seed of everything random in the audit."""
    controls: list[str] = []
    """Columns held constant in `AuditResult.adjusted_gaps`."""
    unit_column: str | None = None
    """Column that names what several images share: intervals and tests take its values for independent. In
    records before 1.2 one real and one fake image of each value were audited."""
    independent: bool = False
    """Whether the user said that each image stands for itself though a column's values repeat."""
    weight_column: str | None = None
    """Column of population weights."""
    references: dict[str, str] = {}
    """Attribute to the group that every other group of it is compared with."""
    criterion: CriterionName = "difference"
    """What the verdicts judge: differences of rates, ratios of rates, or shares of reals that pass."""
    max_fpr: float | None = None
    """The largest FPR allowed, overall and in every group."""
    max_fnr: float | None = None
    task: TaskName = "fake-face"
    """What was audited (`audit.task`): which class is the positive one, and what both errors are called."""


class Provenance(Record):
    """Where every number comes from: enough to run it again."""

    command: str = ""
    """The command line, as typed."""
    versions: dict[str, str] = {}
    """Python and the libraries that computed the numbers."""
    detector: dict[str, Any] = {}
    """name, arch, sha256, preprocessing, training data ... of the audited detector."""
    data: dict[str, Any] = {}
    """kind ('pairs', 'images', 'scores'), path, sha256, and the pairs dataset's own provenance."""
    generator: dict[str, Any] = {}
    """name, sha256, output size, crop, attribution ... of what made the fakes."""

    @model_validator(mode="before")
    @classmethod
    def _in_utf8(cls, content: Any) -> Any:
        return _encodable(content)


def _encodable(value: Any) -> Any:
    """Plain values whose texts UTF-8 can hold: paths are as their file system has them."""
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, dict):
        return {_encodable(key): _encodable(each) for key, each in value.items()}
    return [_encodable(each) for each in value] if isinstance(value, (list, tuple)) else value


class Confusion(Record):
    """Counts at the threshold, fake being the positive class."""

    tp: int
    fp: int
    tn: int
    fn: int


class Measures(Record):
    """Everything measured on one set of images (all of them, or one group)."""

    n_real: int
    n_fake: int
    confusion: Confusion
    fpr: Rate
    """Real images flagged as fake / real images (BPCER)."""
    fpr_interval: Interval
    fpr_worth: Rate = math.nan
    """Independent reals that the FPR is worth; undefined where each image (or pair) stands for itself."""
    fnr: Rate
    """Fakes that pass / fakes (APCER)."""
    fnr_interval: Interval
    fnr_worth: Rate = math.nan
    """Independent fakes that the FNR is worth."""
    positive_rate: Rate
    """Images flagged as fake / images."""
    accuracy: Rate
    accuracy_interval: Interval
    balanced_accuracy: Rate
    acer: Rate = math.nan
    """Average classification error rate of ISO/IEC 30107-3: (APCER + BPCER) / 2."""
    precision: Rate
    recall: Rate
    f1: Rate
    auc: Rate
    auc_interval: Interval
    """DeLong."""
    eer: Rate
    eer_interval: Interval | None = None
    average_precision: Rate = math.nan
    min_dcf: Rate = math.nan
    """Normalised, at a fake prior of 0.05 and equal costs."""
    min_dcf_at: dict[str, Rate] = {}
    """Key, the prior of the positive class ('0.01', '0.05'), to the same cost at it."""
    apcer_at_bpcer: dict[str, Rate] = {}
    """Keys '0.01', '0.05', '0.10': the FNR at the threshold that holds the FPR to the key."""
    bpcer_at_apcer: dict[str, Rate] = {}


class GroupResult(Measures):
    """The measures of one group: one value of one attribute, or one cell of an intersection."""

    attribute: str
    """'race', 'gender:race', 'age:gender:race' ..."""
    group: str
    """'Black', 'Female:Black' ..."""
    small: bool = False
    """Fewer than min_n real or fake images, or images of too few independent units, see `few_units`."""
    few_units: list[RateName] = []
    """Rates with min_n images or more that belong to too few independent units (`Counts.enough`): shown and
    not compared. Empty in records before 1.5."""


class Gap(Record):
    """One disparity measure of one attribute."""

    attribute: str
    measure: str
    """A key of `audit.metrics.disparity.MEASURES`, such as 'fpr_difference', of
    `audit.metrics.one_vs_rest` or of `audit.judge.reference_group`.
    """
    value: Rate
    interval: Interval | None
    reason: str | None = None
    """Why there is no interval, or no value."""
    groups: list[str] = []
    """The two groups that set the value, largest rate first; or the one compared with all others; or the
    one compared with the reference, and the reference."""
    expected_if_equal: Rate = math.nan
    """Mean of the measure over groups of these sizes that all have the same rates: what noise alone shows."""
    tolerance_check: ToleranceCheck | None = None
    """Where the interval lies against the tolerance; None for measures that no tolerance applies to."""
    no_skill: NoSkill | None = None
    """What detectors that look at nothing get on these groups; None for measures of one group."""


class WorseGroup(Record):
    """A group whose rate is proven higher than another's, after all corrections."""

    group: str
    than: str
    """The group it is compared with: the better one of the pair that stands for the verdict."""
    difference: Rate
    """Its rate minus the other's."""
    difference_interval: Interval
    """At the level of the test that names the group: simultaneous over all pairs of groups and all questions
    of the audit. In records before 1.2 over all pairs of the attribute, and cut off at 0."""
    ratio_interval: Interval
    """Its rate over the other's, simultaneous in the same way; a null upper limit is no limit."""
    p_value: Rate = math.nan
    """Of this pair of groups, adjusted for all pairs and all questions; never below the attribute's own."""
    corrected_difference: Rate = math.nan
    """The difference less what it owes to the pair having been picked for being far apart: of the groups'
    rates shrunk towards their common one, and never outside the interval."""


class GroupDifference(Record):
    """A group's rate minus that of the group a verdict compares with."""

    group: str
    difference: Rate
    interval: Interval
    """At the level of the verdict: that of the tests that name groups, or, where the verdict is "within
    tolerance", that of this statement."""


class Verdict(Record):
    """Judgement on one attribute and one rate."""

    attribute: str
    rate: RateName
    verdict: VerdictWord
    p_value: Rate
    """Of the max-|z| test of equality of all groups."""
    adjusted_p_value: Rate
    """Holm, over all verdicts of this audit."""
    pair_p_value: Rate = math.nan
    """Of the pair proven unequal that stands for the verdict, adjusted for all pairs and all verdicts;
    undefined where no pair is proven unequal."""
    gap: Rate
    """Largest minus smallest rate among groups of at least min_n."""
    gap_interval: Interval | None
    """Simultaneous over all pairs of groups of the attribute, and wide enough for all statements of the audit
    that an attribute is within tolerance to hold together. Not the interval that sentences quote: that is the
    `difference_interval` of the named pair in `worse_groups`, which decides and allows for all comparisons of
    the audit; where no pair is proven unequal, the `interval` of `worst_group` in `differences`."""
    gap_corrected: Rate = math.nan
    """Estimate of the largest true gap: the largest of many observed ones is too large on average."""
    beyond_tolerance_proven: bool = False
    """For a disparity: whether the whole interval of the named pair's difference lies beyond the tolerance,
    over all pairs and all verdicts. If not, the groups are proven unequal and the difference as seen is
    beyond, the true one perhaps not."""
    ratio: Rate = math.nan
    """For the criterion "ratio": the higher over the lower rate, of the pair that is proven unequal, else of
    the two furthest apart. For "four-fifths": the lower over the higher share of reals that pass. Undefined
    for the criterion "difference": its sentences quote the ratio of the named pair in `worse_groups`. A null
    ratio beside an interval is one to a rate of 0."""
    ratio_interval: Interval | None = None
    """At the level of the verdict, as that of the difference."""
    worst_group: str | None
    best_group: str | None
    min_detectable_gap: Rate
    """At 80 % power and the same adjustment."""
    images_needed: int | None = None
    """Where the evidence is insufficient: images in each group with which four audits in five would settle
    it if the groups are in truth equal, or, where they are proven unequal, if the gap is as large as seen."""
    worse_groups: list[WorseGroup] = []
    """All groups proven to have a higher rate than the better one of the pair that stands for the verdict,
    the highest rate first; empty where no two groups are proven unequal."""
    compared_with: str | None = None
    """The group that `differences` are taken from: the better one of the pair proven unequal, else the one
    with the lowest rate."""
    differences: list[GroupDifference] = []
    """Every other group that took part, minus that one; the highest rate first. Empty in records before
    1.2."""
    n_groups: int = 0
    """Groups that took part."""
    n_small_groups: int = 0
    """Groups left out because they have fewer than min_n images."""
    explanation: str = ""
    """What it means, for a reader without statistics (`audit.wording.verdict_text.explained`)."""


class Stratum(Record):
    """Images of like value, of the two groups of an adjusted gap."""

    name: str
    """The value, or 'LOW to HIGH'."""
    worst_errors: int
    worst_images: int
    best_errors: int
    best_images: int


class AdjustedGap(Record):
    """The gap between the two groups a verdict names, at equal value of another column, or of several."""

    attribute: str
    rate: RateName
    column: str
    """What is held constant: a column of the score table or of the pairs dataset, or several with 'and'."""
    columns: list[str] = []
    """Their names one by one."""
    kind: Literal["fifths", "values", "together"]
    """Whether the strata are fifths of a number or the column's own values; several have none."""
    worst_group: str
    best_group: str
    raw: Rate
    """Rate of the worst minus rate of the best group, over all their images."""
    raw_interval: Interval
    """Newcombe, simultaneous over all pairs of groups of the attribute."""
    raw_taking_part: Rate
    """The same difference among the images that took part in the adjustment."""
    adjusted: Rate
    """Standardised difference by logistic regression, overlap-weighted (`audit.inference.adjustment`); in
    records before 1.2 Mantel and Haenszel's over the strata."""
    interval: Interval | None
    """Of the standardised difference, simultaneous over all pairs of groups and, with `part_interval`, over
    all adjusted gaps of the audit; in older records over all pairs alone."""
    part_interval: Interval | None = None
    """Of `raw_taking_part` minus `adjusted`, which is what of the gap goes with the columns: paired, and
    simultaneous as `interval`. Where it holds 0, it cannot be told whether they have a part in the gap. Null
    where `interval` is, and in older records."""
    reason: str | None = None
    """Why there is no interval, or no adjusted gap."""
    separable: bool = True
    """False where the data cannot tell the gap from what the columns do: the groups do not overlap in them,
    or too little is judged wrongly or rightly. A gap then stands neither explained nor confirmed."""
    n_images: int
    """Of the two groups and the class concerned."""
    n_taking_part: int
    """Those with a value in the range that both groups share."""
    n_missing: int
    """Those without a value."""
    strata: list[Stratum]
    """A picture: rates of both groups in each part of the column. Nothing is computed from them."""


class OtherThreshold(Record):
    """Verdicts on single attributes at a threshold that was not audited: exploratory."""

    rule: str
    """What led to it: 'eer', or 'fpr=0.05' over all images; fixed on the images it is judged on."""
    threshold: Rate
    fpr: Rate
    """Of all images, at this threshold."""
    fnr: Rate
    verdicts: list[Verdict]
    """Corrected together over all other thresholds, apart from the audit's own verdicts."""


class Curve(Record):
    """Error rates against the threshold for one group: ROC and DET are two views of it."""

    attribute: str
    group: str
    thresholds: list[Rate]
    fpr: list[Rate]
    fnr: list[Rate]
    worth_real: Rate = math.nan
    """Independent images that the FPR is worth, for its band; null in records before 1.4."""
    worth_fake: Rate = math.nan
    """The same for the FNR."""


class Histogram(Record):
    """Score distribution of one group by class."""

    attribute: str
    group: str
    edges: list[float]
    real: list[int | float]
    """Images in each bin, or the sums of their weights."""
    fake: list[int | float]


class Sweep(Record):
    """Counts on a grid of thresholds, for the report's slider; sums of weights where images carry them."""

    attribute: str
    group: str
    n_real: int | float
    n_fake: int | float
    fp: list[int | float]
    """Real images flagged at each of `AuditResult.sweep_thresholds`."""
    fn: list[int | float]
    """Fakes missed at each of them."""


class Dropout(Record):
    """What became of the source photos of one group before the detector saw them."""

    attribute: str
    group: str
    n_attempted: int
    n_ok: int
    n_by_status: dict[str, int] = {}
    """Status word (a reason of rejection, or 'ok') to number of photos."""
    quality: dict[str, Rate] = {}
    """Mean pair quality, such as 'reconstruction_l1', 'detector_confidence', 'border_share'."""


class Realism(Record):
    """How near the fakes of one kind are to their real halves, and how hard to tell, for one group."""

    kind: str
    attribute: str
    """Or "overall", with the group "all"."""
    group: str
    n_pairs: int
    psnr_db: Rate = math.nan
    """Peak signal-to-noise ratio of the mean squared difference."""
    ms_ssim: Rate = math.nan
    """Mean multi-scale structural similarity, up to 1."""
    face_found: Rate = math.nan
    """Share of the pairs with a face found in the real half in whose fake one is found too."""
    n_face_lost: int | None = None
    """Pairs with a face found in the real half alone; None of datasets that do not say."""
    n_face_gained: int | None = None
    """Pairs with a face found in the fake alone."""
    spectrum_db: Rate = math.nan
    """Mean distance of the spectra."""
    difficulty: Rate = math.nan
    """Held-out AUC of a fixed simple detector, of frequencies and residuals; near 0.5 hard for it."""
    difficulty_low: Rate = math.nan
    """Lower end of the 95 % interval of `difficulty`; of all images alone."""
    difficulty_high: Rate = math.nan
    """Upper end of the same."""
    by_frequencies: Rate = math.nan
    """Held-out AUC of the spectrum alone; of all images alone."""
    by_residuals: Rate = math.nan
    """Held-out AUC of residuals of neighbouring pixels alone; of all images alone."""
    difficulty_error: Rate = math.nan
    """Standard error of `difficulty`, in records before 1.4, which had no interval."""
    n_held_out: int = 0
    """Pairs that `difficulty` rests on."""
    file_auc: Rate = math.nan
    """AUC of a classifier that sees the files alone; of all images alone."""


class Sample(Record):
    """One pair (or single image) shown in the report."""

    kind: str
    """'false accusation', 'missed fake', 'random' or 'reject'."""
    pair_id: str
    groups: dict[str, str]
    """Attribute to group."""
    real_score: Rate = math.nan
    fake_score: Rate = math.nan
    real_thumbnail: str | None = None
    """Path relative to the run folder."""
    fake_thumbnail: str | None = None
    reason: str | None = None


class UnitSummary(Record):
    """How closely images of one unit go together, over all groups of all audited attributes at once."""

    column: str
    n_units: int
    largest: int
    """Images of the largest unit."""
    fpr_correlation: Rate
    """Correlation of the errors of two real images of one unit (intraclass correlation), over the cells."""
    fnr_correlation: Rate
    fpr_design_effect: Rate
    """Real images over the independent ones they are worth, all together."""
    fnr_design_effect: Rate


class DataSummary(Record):
    """How many images entered, and what was left out and why."""

    n_images: int
    n_real: int
    n_fake: int
    n_pairs: int
    """Complete pairs: both halves scored."""
    n_left_out: dict[str, int] = {}
    """Reason to number of source photos, such as 'in the detector's training data'."""
    units: UnitSummary | None = None
    """Where several images may share a unit."""


class KindGap(Record):
    """One kind of fake: its gap between the two groups that differ most on the mean over kinds."""

    kind: str
    gap: Rate
    """Missed of `KindAgreement.most_missed` minus `least_missed`."""
    interval: Interval
    """Of this gap alone."""
    fnr: Rate
    """Missed of all compared groups."""
    worst_group: str
    """The group whose fakes of this kind are missed most."""
    worst_fnr: Rate


class KindAgreement(Record):
    """Whether the gap of one attribute in missed fakes follows the people or the kind of fake."""

    attribute: str
    kinds: list[str]
    verdict: str
    """'follows the people', 'depends on the kind' or 'insufficient evidence'."""
    p_interaction: Rate = math.nan
    """Holm-adjusted: do the differences between kinds vary with the group?"""
    p_people: Rate = math.nan
    """Holm-adjusted: do the means over kinds vary with the group?"""
    most_missed: str | None = None
    least_missed: str | None = None
    same_direction: bool | None = None
    """Whether every kind's gap between these two points the same way."""
    gaps: list[KindGap] = []
    worst_kind: dict[str, str] = {}
    """Group to the kind of fake that is missed most in it."""
    left_out: list[str] = []
    """Groups with too few fakes of some kind."""
    sentence: str


class ScoreShift(Record):
    """How the scores of one group and class lie against those of all other groups of the attribute."""

    attribute: str
    group: str
    label: Literal["real", "fake"]
    n: int
    """Images of the group and class."""
    median: Rate
    """Of their scores."""
    median_of_others: Rate
    higher: Rate
    """Chance that one of the group's images scores higher than one of the others', ties counting half: 0.5 is
    no shift. Null where a side is too small."""
    interval: Interval | None = None
    """Simultaneous over all groups, both classes and all single attributes."""
    reason: str | None = None
    """Why there is no interval."""


class Calibration(Record):
    """Whether the scores of one group are the probabilities they look like."""

    attribute: str
    group: str
    n: int
    mean_score: Rate
    share_fake: Rate
    difference: Rate
    """Mean score minus share of fakes: calibration in the large."""
    difference_interval: Interval | None
    """Simultaneous over all groups of all single attributes; of all images, alone. So is the next."""
    ece: Rate
    """Expected calibration error: mean over ten equal ranges of score of |mean score - share of fakes|, each
    range counting for its images."""
    ece_interval: Interval | None
    reason: str | None = None
    """Why there is no interval."""


class FnrAtFpr(Record):
    """The FNR of one group at the one threshold that holds the FPR of all reals to a level."""

    attribute: str
    group: str
    level: Rate
    """The FPR of all reals."""
    threshold: Rate
    """The lowest at which at most that share of all reals is flagged."""
    n_fake: int
    fnr: Rate
    interval: Interval
    """Of this group and level alone; it allows for the threshold having been found on the same reals."""


class KindRate(Record):
    """Missed fakes of one kind in one group: APCER of ISO/IEC 30107-3."""

    attribute: str
    """'overall', or a single attribute."""
    group: str
    kind: str
    """What made the fakes."""
    n_fake: int
    apcer: Rate
    interval: Interval | None
    """Simultaneous over the kinds of this group."""


class WorstKind(Record):
    """The kind of fake that is missed most in one group: the worst case of ISO/IEC 30107-3."""

    attribute: str
    group: str
    kind: str | None
    apcer: Rate
    """The largest of the kinds that have min_n fakes in the group."""
    interval: Interval | None
    """Of the largest true APCER of those kinds."""
    left_out: list[str] = []
    """Kinds with fewer fakes: shown, and not asked."""
    reason: str | None = None
    """Why there is none."""


class NoScoreGroup(Record):
    """How many images of one group and class got no score."""

    group: str
    n: int
    """Images of the group and class, with a score and without."""
    n_without: int
    share: Rate
    interval: Interval | None
    """Of this share alone."""


class NoScores(Record):
    """Images of one class that got no score, by the groups of one attribute: nothing else says what of them.

    ISO/IEC 19795-10 asks for such failures by group, beside the error rates.
    """

    attribute: str
    label: Literal["real", "fake"]
    groups: list[NoScoreGroup]
    adjusted_p_value: Rate = math.nan
    """That all groups with at least min_n images are alike: Holm, over the attributes and both classes."""
    pair_p_value: Rate = math.nan
    """Of the groups in `more` against `less`, the largest, adjusted for all pairs and questions of the
    family; undefined where none is named."""
    more: list[str] = []
    """Groups proven to have a larger share without a score than `less`, the largest first; empty where no two
    groups are proven to differ, or no difference as seen is beyond the tolerance."""
    less: str | None = None
    beyond_tolerance_proven: bool = False
    """Whether the difference of the pair that is named is proven to exceed the tolerance."""
    sentence: str = ""


class CrossGroupRate(Record):
    """Impostor trials between two groups of one attribute, or within one: how many are accepted."""

    attribute: str
    group: str
    """Of the enrolled speaker, the first of the trial."""
    other_group: str
    """Of the probe, the second."""
    n: int
    """Impostor trials."""
    errors: int
    """Of them accepted."""
    rate: Rate
    interval: Interval | None
    """Of this rate alone; None without trials."""
    n_speakers: int
    """In these trials, of both groups."""


class AuditResult(Record):
    """Everything an audit found; the content of `audit.json`."""

    schema_version: str = SCHEMA_VERSION
    config: Config
    provenance: Provenance
    data: DataSummary
    notes: list[str] = []
    """Plain sentences the reader must know before believing a number."""
    overall: Measures
    usefulness: Usefulness | None = None
    """Whether the detector is shown to be better than those that look at nothing; None in records before
    1.3, see `audit.judge.usefulness.usefulness_in`."""
    rate_limits: list[RateLimit] = []
    """Where a largest rate is allowed: the overall rate and that of every group of the single attributes."""
    groups: list[GroupResult]
    gaps: list[Gap]
    verdicts: list[Verdict]
    adjusted_gaps: list[AdjustedGap] = []
    """Gaps of the verdicts on single attributes, among images of like value of another column."""
    other_thresholds: list[OtherThreshold] = []
    """How far the verdicts hang on the threshold; none that decides as the audited one does."""
    curves: list[Curve]
    histograms: list[Histogram] = []
    sweep_thresholds: list[float] = []
    sweep: list[Sweep] = []
    dropout: list[Dropout] = []
    no_scores: list[NoScores] = []
    """Single attributes and classes in which images got no score."""
    realism: list[Realism] = []
    """By kind of fake, overall and by group; of pairs datasets that say so."""
    samples: list[Sample] = []
    kinds: list[KindAgreement] = []
    """Several kinds of fake: for each attribute, whether its gap agrees across them."""
    cross_groups: list[CrossGroupRate] = []
    """Trials of two speakers each: impostors accepted, by the groups of both."""
    n_tests: int = 0
    """Size of the family the p-values are adjusted for."""
    score_shifts: list[ScoreShift] = []
    """Single attributes: each group's scores against the others', reals and fakes apart."""
    calibration: list[Calibration] = []
    """All images, then the groups of single attributes; empty where scores are no probabilities."""
    calibration_reason: str | None = None
    """Why there is no calibration."""
    fnr_at_fpr: list[FnrAtFpr] = []
    """Single attributes: each group at one threshold for all."""
    kind_rates: list[KindRate] = []
    """Several kinds of fake: APCER of each, over all fakes and in every group of single attributes."""
    worst_kinds: list[WorstKind] = []
    """The largest of them, over all fakes and in every group."""

    @model_validator(mode="before")
    @classmethod
    def _open_old_versions(cls, content: Any) -> Any:
        return check_version(content) if isinstance(content, dict) else content

    @property
    def task(self) -> Task:
        """The words of what was audited."""
        return task_named(self.config.task)

    def to_json(self) -> str:
        """The bytes of `audit.json`: two spaces of indent, NaN as null, a final newline."""
        return self.model_dump_json(indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> AuditResult:
        """Read what this or an older version wrote; pydantic.ValidationError on anything else."""
        return cls.model_validate_json(text)

    @classmethod
    def load(cls, run_dir: str | Path) -> AuditResult:
        """Read `audit.json` of a run folder."""
        return cls.from_json((Path(run_dir) / "audit.json").read_text(encoding="utf-8"))


def check_version(content: dict[str, Any]) -> dict[str, Any]:
    """The content of a result file of this or an older minor version, marked as this one.

    A file from a newer program is refused: guessing what its new fields mean would show half an audit as a
    whole one.

    Args:
        content: Parsed JSON; without a version it counts as current.

    Raises:
        ResultFormatError: If its version is unreadable, newer, or of another major version.
    """
    version = str(content.get("schema_version", SCHEMA_VERSION))
    try:
        major, minor = map(int, version.split("."))
    except ValueError as error:
        raise ResultFormatError(
            f"schema_version is '{version}', not one such as '{SCHEMA_VERSION}'"
        ) from error
    current = tuple(map(int, SCHEMA_VERSION.split(".")))
    if (major, minor) > current:
        raise ResultFormatError(f"format {major}.{minor} is newer than {SCHEMA_VERSION}; update this program")
    if major < current[0]:
        raise ResultFormatError(f"format {major}.{minor} is no longer read; run the audit again")
    return {**content, "schema_version": SCHEMA_VERSION}
