"""``relcon-table``: a table or figure of the paper, from the runs to the page."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from relcon_lightning.cli.book import OF_DATA, Book, searched
from relcon_lightning.cli.children import Children
from relcon_lightning.data.store.manifest import MANIFEST
from relcon_lightning.errors import INTERRUPTED, MISTAKE, PREEMPTED, ConfigError, DataError
from relcon_lightning.reporting.tables import cost
from relcon_lightning.reporting.tables.book import write_book
from relcon_lightning.reporting.tables.plan import RUNS, page
from relcon_lightning.reporting.tables.results import Results
from relcon_lightning.runs.checkpoint_paths import LAST
from relcon_lightning.wording import counted

log = logging.getLogger(__name__)

ASKED = "asked.json"  # in the folder of an evaluation: the requested settings


def main(config: DictConfig) -> None:
    """Run missing trainings and evaluations, and write the page."""
    book = Book(config, page(str(config.table)))
    if config.dry_run:
        _list(book)
        return
    children = Children()
    _prepare(book, children)
    _train(book, children)
    found, notes = _evaluate(book, children)
    if not found:
        raise DataError(f"There is nothing to write: {' '.join(notes)}")
    path = write_book(str(config.table), book.page.title, found, book.facts(), notes, book.folder)
    for note in notes:
        log.warning("%s", note)
    log.info("Page: %s and %s", path, path.with_suffix(".md"))


def _prepare(book: Book, children: Children) -> None:
    if not Path(book.base["data"]["datamodule"]["store"], MANIFEST).exists():
        _checked("relcon-prepare", children.run("relcon-prepare", book.data))


def _train(book: Book, children: Children) -> None:
    trained = book.trainings
    missing = [one for one in trained if not one.done]
    for i, one in enumerate(missing):
        what = f"{one.name}, seed {one.seed}" + (f", from step {one.step}" if one.step else "")
        place = len(trained) - len(missing) + i + 1
        log.info("Run %d of %d: %s; %d more follow.", place, len(trained), what, len(missing) - i - 1)
        code = children.run("relcon-pretrain", one.arguments, cost.processes(one.settings))
        _checked(f"{one.folder}", code)


def _evaluate(book: Book, children: Children) -> tuple[dict[str, Results], list[str]]:
    found: dict[str, Results] = {}
    notes = []
    parts = book.page.judgements
    for i, (part, judgement) in enumerate(parts.items()):
        folder, words, settings = book.evaluation(judgement, part)
        store = Path(settings["data"]["datamodule"]["store"])
        if not (store / MANIFEST).exists() and settings["data"]["source"]["_target_"].endswith("SimulatedCohort"):
            children.run("relcon-prepare", [w for w in words if w.startswith(OF_DATA)])
        if not (store / MANIFEST).exists():
            notes.append(f"{part} is not evaluated: there is no cohort store at {store}. Write it with relcon-prepare.")
            continue
        runs = {name: book.runs / RUNS[name].folder for name in judgement.systems}
        asked = {"words": words, "trained": [_stamp(path, seed) for path in runs.values() for seed in book.seeds]}
        if _asked(folder) != asked:
            log.info("Evaluation %d of %d: %s", i + 1, len(parts), judgement.name)
            code = children.run("relcon-eval", [*searched(), *words])
            if code == MISTAKE:
                notes.append(
                    f"{part} was not evaluated: see the error of relcon-eval task={settings['task']['name']} above."
                )
                continue
            _checked(f"The evaluation in {folder}", code)
            (folder / ASKED).write_text(json.dumps(asked, indent=1) + "\n", "utf-8")
        found[part] = Results.read(folder, runs)
    return found, notes


def _list(book: Book) -> None:
    trained = book.trainings
    total, unknown, embedded = 0.0, 0, 0
    for one in trained:
        own = cost.seconds(one.settings, one.folder.parent)
        state = "done" if one.done else f"{one.step} of {counted(one.steps, 'step')} done" if one.step else "to train"
        share = (one.steps - one.step) / max(one.steps, 1)
        embedded += round(share * cost.windows(one.settings))
        unknown += own is None and not one.done
        total += share * (own or 0.0)
        size = f"{counted(one.steps, 'step')}, {counted(cost.windows(one.settings), 'window')}"
        log.info("%-24s seed %d  %-24s %s", one.name, one.seed, state, size + (f", {cost.words(own)}" if own else ""))
    for part, judgement in book.page.judgements.items():
        folder, _, settings = book.evaluation(judgement, part)
        log.info(
            "%-24s %s on %s, task %s: %s",
            "evaluation",
            part,
            settings["data"]["name"],
            settings["task"]["title"],
            folder,
        )
    left = sum(not one.done for one in trained)
    known = f", about {cost.words(total)} of training" if left > unknown else ""
    rest = f", plus {unknown} runs of methods that have not been timed on this machine yet" if unknown else ""
    log.info(
        "%s, %d to train: %s windows to embed%s%s.", counted(len(trained), "run"), left, f"{embedded:,}", known, rest
    )


def _stamp(runs: Path, seed: int) -> list[Any]:
    path = runs / f"seed{seed}" / LAST
    status = path.stat()
    return [str(path), status.st_size, status.st_mtime_ns]


def _asked(folder: Path) -> Any:
    try:
        return json.loads((folder / ASKED).read_text("utf-8"))
    except (OSError, ValueError):
        return None


def _checked(what: str, code: int) -> None:
    """Return after a successful command; otherwise, end this process with the same exit code."""
    if code in (PREEMPTED, INTERRUPTED):
        sys.exit(code)
    if code:
        raise ConfigError(
            f"{what} failed with exit code {code}; see its message above. Repeat this command to continue."
        )
