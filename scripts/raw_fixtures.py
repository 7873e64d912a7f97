"""Writes js/fixtures/raw/*.jsonl: the run files of a few recordings, for the tests of the page's raw events."""

from __future__ import annotations

from js_fixtures import ROOT, load, runs

from letta_nb import record

NAMES = "answered_tok disc_tok multi2_tok_server parallel_step resumed toolerr_step".split()


def main() -> None:
    out = ROOT / "js/fixtures/raw"
    out.mkdir(exist_ok=True)
    known = runs()
    chosen = {name: known[name] for name in NAMES} | {"seed_memgpt_one_tok": load("0.7.16/memgpt_one_tok")}
    for name, run in chosen.items():
        run.uid = name  # the only thing about a loaded recording that is random
        (out / f"{name}.jsonl").write_bytes(b"".join(record.encoded(run)))


if __name__ == "__main__":
    main()
