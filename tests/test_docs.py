"""The documentation's site builds without a warning, from pages that name what exists."""

from __future__ import annotations

import html
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    if importlib.util.find_spec("sphinx") is None:
        pytest.skip("the extra docs is not installed")
    out = tmp_path_factory.mktemp("site")
    strict = ["--quiet", "--fail-on-warning", "--keep-going"]
    options = [*strict, "--conf-dir", "docs", "--doctree-dir", f"{out}/trees"]
    options += ["-D", "plot_gallery=0"]  # tests/test_tutorials.py runs the tutorials
    command = [sys.executable, "-m", "sphinx", *options, ".", f"{out}/html"]
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return out / "html"


def test_the_first_page_leads_to_every_page(site):
    assert "docs/index.html" in (site / "index.html").read_text()
    first = (site / "docs" / "index.html").read_text()
    pages = ("../README", "method", "differences", "limits", "own_cohort", "clusters", "commands", "reference")
    for page in (*pages, "gallery/index", "gallery/embed_a_week", "gallery/train_and_evaluate"):
        assert f'href="{page}.html"' in first, page
    assert "../experiments/table6/README.html" in first


def words(site, page):
    return html.unescape(re.sub(r"<[^>]+>", "", (site / "docs" / f"{page}.html").read_text()))


def test_the_reference_has_one_page_per_package_with_links_to_the_source(site):
    names = {
        "top": ("load_encoder", "embed_recording"),
        "methods": (
            "class relcon_lightning.methods.base.Method(",
            "class relcon_lightning.methods.base.EmbeddingMethod(",
        ),
        "losses": ("relative_contrastive", "only their order counts and no gradient flows to them"),
        "nets": ("MotifDistance",),
        "data": ("CandidateDataModule", "CandidateSampler", "ratio_split", "refuse_leakage"),
        "checkpoint": ("class relcon_lightning.runs.checkpoint.Checkpoint(", "export"),
        "errors": ("DataError",),
    }
    for page, expected in names.items():
        text = words(site, f"reference/{page}")
        assert all(name in text for name in expected), page
        assert "[source]" in text
    pages = {path.stem for path in (ROOT / "docs" / "reference").glob("*.md")}
    assert names.keys() <= pages
    assert all(f'href="reference/{page}.html"' in (site / "docs" / "reference.html").read_text() for page in pages)


@pytest.mark.parametrize("name", ["commands.md", "runs.md"])
def test_generated_blocks_are_those_of_the_configuration_and_need_no_directive(name):
    spec = importlib.util.spec_from_file_location("generated_blocks", ROOT / "docs" / "generated_blocks.py")
    blocks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(blocks)
    page = (ROOT / "docs" / name).read_text("utf-8")
    assert ROOT / "docs" / name in blocks.PAGES
    assert blocks.generated(page.replace("model: ", "modl: ")) == page  # else: python docs/generated_blocks.py
    assert page.count("```yaml") >= 5


@pytest.mark.parametrize(
    "path", sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")]), ids=lambda path: path.name
)
def test_a_page_shows_no_directive_where_it_is_read_in_the_repository(path):
    assert not re.search(r"^```\{|\{\w+\}`", path.read_text("utf-8"), re.M)


def test_the_page_of_commands_shows_their_help(site):
    text = words(site, "commands")
    assert "${values" not in text
    assert "${choices" not in text
    assert "temperature: 0.1 # tau of the contrastive losses" in text
    assert "relcon-pretrain model=distance" in text
    assert "augpred, autoencoder, byol" in text


def test_the_values_of_the_papers_run_are_on_one_page(site):
    text = words(site, "runs")
    paper, _, rest = text.partition("One GPU")
    for value in ("resnet34_1d", "temperature: 1.0", "n_candidates: 20", "batch_size: 64", "devices: 8", "100000"):
        assert value in paper, value
    laptop = rest[rest.index("A laptop") :]
    for value in ("small_resnet_1d", "temperature: 0.1", "n_candidates: 0", "max_steps: 80", "max_steps: 200"):
        assert value in laptop, value


def test_formulas_are_drawn_by_mathjax(site):
    page = (site / "docs" / "method.html").read_text()
    assert "mathjax" in page
    assert 'class="math notranslate nohighlight"' in page


def test_links_between_pages_of_the_site_lead_somewhere(site):
    for page in (site / "docs").rglob("*.html"):
        for link in re.findall(r'href="([^"#:]+\.html)', page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_each_command_has_its_configuration_on_the_page_of_commands():
    page = (ROOT / "docs" / "commands.md").read_text()
    scripts = re.findall(r"^(relcon-\w+) =", (ROOT / "pyproject.toml").read_text(), re.M)
    assert sorted(re.findall(r"^## (.+)", page, re.M)) == sorted(scripts)
