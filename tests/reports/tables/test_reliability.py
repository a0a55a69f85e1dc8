"""Limits speak of the labels there are, and of no other."""

from reports.tables.reliability import limits

FAIRFACE = "FairFace’s labels of age, gender and race are what crowd workers perceived"
OTHERS = "The groups are those of the data."


def test_a_vendors_table_is_not_told_of_fairface(build):
    told = " ".join(limits(build({"race": ["Black", "White"]}, n=300, pairs=False)))
    assert OTHERS in told and FAIRFACE not in told


def test_fairface_is_told_by_the_words_that_only_it_has(build):
    told = " ".join(limits(build({"race": ["Black", "Southeast Asian"]}, n=300, pairs=False)))
    assert FAIRFACE in told and OTHERS not in told
