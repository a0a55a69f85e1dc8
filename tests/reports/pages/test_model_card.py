"""The model card: hub metadata, the report's sentences, and no markup from strangers."""

import json

import pytest
from markdown_it import MarkdownIt

from audit.errors import ResultFormatError
from pipelines.visible import as_spelled
from reports.pages.model_card import model_card, write_model_card


def metadata(card):
    """The front matter; each value is JSON, which is YAML."""
    lines = card.split("---\n")[1].strip().splitlines()
    return {key: json.loads(value) for key, value in (line.split(": ", 1) for line in lines)}


def test_metadata_is_that_of_the_hub(result):
    fields = metadata(model_card(result))
    (entry,) = fields["model-index"]
    metrics = {m["type"]: m["value"] for m in entry["results"][0]["metrics"]}
    assert entry["name"] == "resnet50"
    assert metrics["accuracy"] == pytest.approx(result.overall.accuracy, abs=1e-4)
    assert fields["pipeline_tag"] == "image-classification"


def test_the_card_answers_first(result):
    card = model_card(result)
    assert "**Is it fair?** No. Its error rates differ by race." in card
    assert card.index("Is it fair?") < card.index("## Model details")
    assert all(f"#### By {name}" in card for name in result.config.attributes)


def test_the_order_of_sections_is_that_of_the_hub(result):
    card = model_card(result)
    order = ["Model details", "Uses", "Bias, risks and limitations", "How to get started"]
    order += ["Training details", "Evaluation", "Technical specifications", "Model card contact"]
    places = [card.index(f"\n## {heading}\n") for heading in order]
    assert places == sorted(places)


@pytest.mark.parametrize(
    "name",
    ["<script>alert(1)</script>", "[x](//evil)", "a|b", "*b*", "# h", "![i](//x/y.png)", "`c`"],
)
def test_a_hostile_name_renders_as_text(build, name):
    card = model_card(build({"tone": ["plain", name]}, n=120))
    html = MarkdownIt("commonmark").enable("table").render(card.split("---\n", 2)[2])
    for markup in ("<script", "<a ", "<img", "<h1>h", "<em>b", "<code>c"):
        assert markup not in html
    cells = MarkdownIt("commonmark").enable("table").parse(as_spelled(name))
    assert "".join(t.content for t in cells[1].children if t.type.startswith("text")) == name


def test_a_command_with_a_line_break_stays_code(result):
    p = result.provenance.model_copy(update={"command": "audit run\n# not a heading"})
    assert "\n# not a heading" not in model_card(result.model_copy(update={"provenance": p}))


def test_it_is_written_beside_the_record(run_dir, tmp_path):
    assert write_model_card(run_dir) == run_dir / "model_card.md"
    with pytest.raises(ResultFormatError, match=r"no audit\.json"):
        write_model_card(tmp_path)
