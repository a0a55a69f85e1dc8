"""What is audited: the names of the two classes, the two errors and everything a reader is told about them.

Enters: the name of a task. Leaves: a `Task`, whose fields every sentence, table, glossary and gate of an
audit is made of.

Why one record of plain words and no subclass: a task changes what things are called and what makes no sense,
never how a number is computed. A score is always higher for the positive class, an error among the negatives
is always `fpr` in the record, one among the positives `fnr`; the record's keys are the same for every task.

Which class is the positive one: what the system is there to say. A detector says "fake"; a verifier says "the
same speaker". So the FPR of a verifier is its false match rate and the FNR its false non-match rate, and a
DET curve and a threshold read as they do for any verifier.

Sources: ISO/IEC 30107-3 (APCER, BPCER); ISO/IEC 19795-1 and 19795-10 (FMR, FNMR, genuine and impostor
trials).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from audit.errors import ConfigError

TaskName = Literal["fake-face", "speaker-verification"]


@dataclass(frozen=True)
class Task:
    """The words of one task, and what does not apply to it.

    Attributes:
        name: As `--task` takes it.
        title: As a heading names it.
        system: What is audited: "detector".
        item: What is scored, one row of a table: "image".
        items: The same, several.
        negative: One of the class that a low score means: "real image".
        negatives: Several.
        positive: One of the class that a high score means: "fake".
        positives: Several.
        negative_word: That class in one word.
        positive_word: The other.
        fpr: Short name of the errors among negatives.
        fnr: Of those among positives.
        fpr_meaning: The short name in full, for the glossary.
        fnr_meaning: The same.
        fpr_name: The error as a heading.
        fnr_name: The error as a heading.
        fpr_happens: What an error does to a negative, after "is": "flagged as fake".
        fnr_happens: To a positive.
        passed: What a right decision does to a negative: "passed as real".
        fpr_differs: That the rate differs, with a place for attributes.
        fnr_differs: The same.
        flags: What the system does to what it takes for positive: "flags".
        flag: The same, infinitive.
        flagged: Past participle.
        flagging: Gerund.
        misses: What it does to the rest: "lets through".
        missed: Past participle.
        caught: A positive that was taken for one: "caught".
        higher: What a higher score means, in two words.
        must_mean: Which way scores and labels must run.
        check_first: What to do where they seem reversed.
        at_threshold: Both rates at a threshold, with places for `fpr` and `fnr`.
        counts_as: "An image counts as fake if its score ...", its first half.
        decides: "fake if the score is at least ...", its first words.
        score_says: What a high score says.
        use: What the system does, for a model card.
        wronged: Whom an error among negatives is about, counted: "real people".
        act: What must not follow from a decision alone.
        training_data: What a maker needs more of.
        harder: What to audit a system on that made no error.
        next_time: What a change of calls for another audit.
        population: What results hold for beside the threshold, "Photos from other sources ...".
        no_labels: Groups that a data set of this task does not label.
        not_covered: What else was not measured.
        two_units: That an item may belong to two units; nothing where it belongs to one.
        rendered: What data that a program made do not say.
        repeat: What to do after an audit of such data.
        a_decision: "a flag".
        decisions: "flags".
        not_compared: Why a group is shown and takes no part, beside being small.
        planned: What is added to a planned number of items a group: which of them it counts.
        paired_test: What compares two systems on the same items.
        apcer: How the missed share at a fixed FPR is called in the standard of the task.
        bpcer: The other way round.
        standard: How far the standard of biometric performance fits; a sentence, or nothing.
        of_the_data: What the report says of the data, for the table of what auditors ask for.
        hub_type: Task of the Hugging Face hub.
        hub_tag: Its tag.
        hub_data: How the hub calls such data.
        fpr_standard: How a standard calls that rate, in brackets after a blank; nothing where it is the same.
        fnr_standard: The same.
        without_measures: Keys of disparity measures that make no sense.
        without_criteria: Criteria of verdicts that make no sense, each with the reason.
        without_terms: Keys of the glossary that mean nothing.
        makes_pairs: Whether each of the one class may be made from one of the other.
        finds_cures: Whether `audit mitigate` knows the task.
        of_trials: Whether a row names two clips of one speaker each, or of two.
    """

    name: TaskName
    title: str
    system: str
    item: str
    items: str
    negative: str
    negatives: str
    positive: str
    positives: str
    negative_word: str
    positive_word: str
    fpr: str
    fnr: str
    fpr_meaning: str
    fnr_meaning: str
    fpr_name: str
    fnr_name: str
    fpr_happens: str
    fnr_happens: str
    passed: str
    fpr_differs: str
    fnr_differs: str
    flags: str
    flag: str
    flagged: str
    flagging: str
    misses: str
    missed: str
    caught: str
    higher: str
    must_mean: str
    check_first: str
    at_threshold: str
    counts_as: str
    decides: str
    score_says: str
    use: str
    wronged: str
    act: str
    training_data: str
    harder: str
    next_time: str
    population: str
    no_labels: str
    not_covered: str
    two_units: str
    rendered: str
    repeat: str
    a_decision: str
    decisions: str
    not_compared: str
    planned: str
    paired_test: str
    apcer: str
    bpcer: str
    standard: str
    of_the_data: str
    hub_type: str
    hub_tag: str
    hub_data: str
    fpr_standard: str = ""
    fnr_standard: str = ""
    without_measures: frozenset[str] = frozenset()
    without_criteria: tuple[tuple[str, str], ...] = ()
    without_terms: frozenset[str] = frozenset()
    makes_pairs: bool = True
    finds_cures: bool = True
    of_trials: bool = False

    @property
    def all_negative(self) -> str:
        """What all items are where none is positive: "real", "impostor trials"."""
        return self.negatives if self.of_trials else self.negative_word

    @property
    def all_positive(self) -> str:
        """What all items are where none is negative: "fake", "genuine trials"."""
        return self.positives if self.of_trials else self.positive_word

    def rate(self, rate: str) -> str:
        """Short name of a rate: "fpr" -> "FPR"."""
        return self.fpr if rate == "fpr" else self.fnr

    def rate_name(self, rate: str) -> str:
        """The error behind a rate as a heading: "fpr" -> "Real images flagged as fake"."""
        return self.fpr_name if rate == "fpr" else self.fnr_name

    def items_of(self, n: int) -> str:
        """What n items are called: "image" or "images"."""
        return self.item if n == 1 else self.items

    def negatives_of(self, n: int) -> str:
        """What n of the negative class are called: "real image" or "real images"."""
        return self.negative if n == 1 else self.negatives

    def positives_of(self, n: int) -> str:
        """What n of the positive class are called: "fake" or "fakes"."""
        return self.positive if n == 1 else self.positives

    def of_rate(self, rate: str) -> str:
        """What a rate is a share of: "fpr" -> "real images"."""
        return self.negatives if rate == "fpr" else self.positives

    def happens(self, rate: str) -> str:
        """What an error does: "fpr" -> "flagged as fake"."""
        return self.fpr_happens if rate == "fpr" else self.fnr_happens

    def rule(self, rule: str) -> str:
        """A threshold rule of the record with the task's names: "fpr=0.01"."""
        return rule.replace("fpr", self.fpr.lower()).replace("fnr", self.fnr.lower())


FAKE_FACE = Task(
    name="fake-face",
    title="Fake-face detection",
    system="detector",
    item="image",
    items="images",
    negative="real image",
    negatives="real images",
    positive="fake",
    positives="fakes",
    negative_word="real",
    positive_word="fake",
    fpr="FPR",
    fnr="FNR",
    fpr_meaning=(
        "False positive rate: real images flagged as fake, out of all real images. The errors that accuse "
        "real people. BPCER in ISO/IEC 30107-3."
    ),
    fnr_meaning="False negative rate: fakes that pass as real, out of all fakes. APCER in ISO/IEC 30107-3.",
    fpr_name="Real images flagged as fake",
    fnr_name="Fakes let through",
    fpr_happens="flagged as fake",
    fnr_happens="let through as real",
    passed="passed as real",
    fpr_differs="it flags real images at different rates by {}",
    fnr_differs="it lets fakes through at different rates by {}",
    flags="flags",
    flag="flag",
    flagged="flagged",
    flagging="flagging",
    misses="lets through",
    missed="let through",
    caught="caught",
    higher="more fake",
    must_mean=(
        "A score must say how fake an image is, and the label 1 (or that of --positive) must mean fake."
    ),
    check_first=(
        "Check which way the scores and the labels run: a high score and the label 1 must both mean fake. "
        "Reverse them, or set --positive, and audit again."
    ),
    at_threshold="it flags {fpr} of real images and lets {fnr} of fakes through",
    counts_as="An image counts as fake",
    decides="fake if the score is at least",
    score_says="the more likely the detector takes it for a fake",
    use=(
        "Scores face images: the higher, the more it looks fake to the detector. A score is no proof; it "
        "should not decide alone about a person."
    ),
    wronged="real people",
    act="Do not let a flag decide on its own: have a person check before anyone is accused or cleared.",
    training_data="Ask the detector’s maker for more training images",
    harder="other kinds of fake, or on images that were re-saved and resized (`audit stress`)",
    next_time="Audit again whenever the detector, its threshold, the kind of fakes or the people change.",
    population="Photos from other sources, or of other quality or compression, may behave differently.",
    no_labels="Groups that carry no label here, such as people with disabilities, scars, veils or make-up.",
    not_covered="Video and audio; screenshots, recompressed images and deliberate disguise.",
    two_units="",
    rendered="The faces were drawn by a program. They test the method and say nothing about people.",
    repeat="Repeat the audit on photographs of people before saying anything about people.",
    a_decision="a flag",
    decisions="flags",
    not_compared="no label",
    planned="",
    paired_test="McNemar",
    apcer="APCER at BPCER",
    bpcer="BPCER at APCER",
    standard=(
        "The standard is written for biometric recognition; its quantities are used here for a detector of "
        "fakes. "
    ),
    of_the_data="drop-out and pair quality of the test data by group",
    hub_type="image-classification",
    hub_tag="deepfake-detection",
    hub_data="image-folder",
    fpr_standard=" (BPCER)",
    fnr_standard=" (APCER)",
)
"""Is this face real? Every record without a task is of this one."""

SPEAKER_VERIFICATION = Task(
    name="speaker-verification",
    title="Speaker verification",
    system="verifier",
    item="trial",
    items="trials",
    negative="impostor trial",
    negatives="impostor trials",
    positive="genuine trial",
    positives="genuine trials",
    negative_word="impostor",
    positive_word="genuine",
    fpr="FMR",
    fnr="FNMR",
    fpr_meaning=(
        "False match rate: impostor trials (clips of two speakers) accepted as one speaker, out of all "
        "impostor trials. The errors that let a stranger in. By group: both speakers are of it."
    ),
    fnr_meaning=(
        "False non-match rate: genuine trials (two clips of one speaker) rejected, out of all genuine "
        "trials. The errors that lock the right person out."
    ),
    fpr_name="Impostors accepted",
    fnr_name="Genuine speakers rejected",
    fpr_happens="accepted as the same speaker",
    fnr_happens="rejected as different speakers",
    passed="rejected as different speakers",
    fpr_differs="it accepts impostors at different rates by {}",
    fnr_differs="it rejects genuine speakers at different rates by {}",
    flags="accepts",
    flag="accept",
    flagged="accepted",
    flagging="accepting",
    misses="rejects",
    missed="rejected",
    caught="accepted",
    higher="more alike",
    must_mean="A score must say how alike both voices are, and same = 1 must mean one speaker.",
    check_first=(
        "Check which way the scores run: a high score and same = 1 must both mean one speaker. If a high "
        "score is a distance, say --read higher=different, and audit again."
    ),
    at_threshold="it accepts {fpr} of impostor trials and rejects {fnr} of genuine trials",
    counts_as="A trial counts as the same speaker",
    decides="same speaker if the score is at least",
    score_says="the more likely the verifier takes both clips for one speaker",
    use=(
        "Compares two clips of speech: the higher the score, the more they sound like one speaker to the "
        "verifier. A score is no proof of identity; it should not decide alone about a person."
    ),
    wronged="impostors",
    act=(
        "Do not let the voice decide on its own: offer another way to prove who one is, and ask for "
        "a second proof."
    ),
    training_data="Ask the verifier’s maker for more training speakers",
    harder="noisier or shorter clips, or on speakers who sound more alike",
    next_time="Audit again whenever the verifier, its threshold, the microphones or the speakers change.",
    population="Speech of other microphones, rooms, languages or lengths may behave differently.",
    no_labels=(
        "Groups that carry no label here, such as people who stammer, are hoarse, or have had their "
        "voice changed."
    ),
    not_covered=(
        "Replayed, converted and synthesised speech; noise, codecs and telephone lines that the clips lack."
    ),
    two_units="An impostor trial belongs to both of its speakers. ",
    rendered="The voices were synthesised by a program. They test the method and say nothing about people.",
    repeat="Repeat the audit on recordings of people before saying anything about people.",
    a_decision="the answer",
    decisions="acceptances",
    not_compared="no label, or people of two groups",
    planned=", of speakers who are in no other trial",
    paired_test="by speakers",
    apcer="FNMR at FMR",
    bpcer="FMR at FNMR",
    standard="",
    of_the_data="speakers and trials across groups",
    hub_type="audio-classification",
    hub_tag="speaker-verification",
    hub_data="audio",
    without_measures=frozenset(
        {"demographic_parity_difference", "demographic_parity_ratio", "f_dp", "disparate_impact"}
    ),
    without_criteria=(
        (
            "four-fifths",
            "it asks how often negatives pass, which for a verifier are impostors; use difference or ratio",
        ),
    ),
    without_terms=frozenset({"pair", "dropout", "adjusted", "worst_kind", "demographic_parity"}),
    makes_pairs=False,
    finds_cures=False,
    of_trials=True,
)
"""Are these two clips of one speaker?"""

TASKS: dict[str, Task] = {task.name: task for task in (FAKE_FACE, SPEAKER_VERIFICATION)}


def task_named(name: str) -> Task:
    """The task of that name.

    Raises:
        ConfigError: There is none.

    >>> task_named("speaker-verification").fpr
    'FMR'
    """
    if name not in TASKS:
        raise ConfigError(f"no task is called '{name}'; there are {', '.join(TASKS)}")
    return TASKS[name]
