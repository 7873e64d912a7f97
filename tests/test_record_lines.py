"""Lines of a run file in the form in which they are written, and in any other: one run comes of both."""

from __future__ import annotations

import gc
import json
from pathlib import Path

import pytest

import letta_nb
from letta_nb.errors import InputError
from letta_nb.log import Received

HEAD = {"letta_nb": 1, "run": {"request": None, "started": "2026-01-02T03:04:05+00:00", "uid": "u"}}
SAID = '{"message_type":"assistant_message","id":"m","content":"é"}'
RETURN = '{"message_type":"tool_return_message","id":"m","tool_return":"r","status":"success","tool_call_id":"c"}'


def loaded(folder: Path, *lines: str) -> letta_nb.Run:
    path = folder / "run.jsonl"
    path.write_text("\n".join([json.dumps(HEAD), *lines, ""]), encoding="utf-8")
    run = letta_nb.load(path)
    assert isinstance(run, letta_nb.Run)
    return run


@pytest.mark.parametrize("at", ["0", "0.1", "12.000000001", "1234567890.5"])
@pytest.mark.parametrize("data", [SAID, RETURN, '{"message_type":"new"}', '{"message_type":"ping","x":{"y":{}}}'])
def test_a_line_as_written_is_what_it_is_laid_out_anew(tmp_path: Path, at: str, data: str) -> None:
    written = loaded(tmp_path, f'{{"at":{at},"data":{data}}}')
    anew = loaded(tmp_path, f'{{ "at": {at}, "data":{data}}}')

    assert list(written.log or []) == list(anew.log or []) == [Received(round(json.loads(at) * 1e9), "", data)]
    assert repr(written.entries) == repr(anew.entries)
    assert [entry.text for entry in written.entries] == [entry.text for entry in anew.entries]
    assert list(written.events) == list(anew.events)


def test_what_stands_behind_an_event_is_no_part_of_it(tmp_path: Path) -> None:
    run = loaded(tmp_path, f'{{"at":1.0,"data":{SAID},"torn":true,"more":{{"a":1}}}}')

    assert run.log is not None
    (received,) = run.log
    assert json.loads(received.data) == json.loads(SAID)
    assert received.torn


@pytest.mark.parametrize("at", ["01.0", "1.", "-", "٣"])
def test_a_time_that_is_no_json_is_refused_with_its_line(tmp_path: Path, at: str) -> None:
    with pytest.raises(InputError, match="line 2, is not JSON"):
        loaded(tmp_path, f'{{"at":{at},"data":{SAID}}}', '{"end":{"at":2,"status":"completed","error":null}}')


def test_a_time_beyond_what_a_log_holds_is_refused_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="line 2, is not a line of a run file"):
        loaded(tmp_path, f'{{"at":999999999999,"data":{SAID}}}')


@pytest.mark.parametrize("fails", [False, True])
def test_a_table_leaves_the_garbage_collector_as_it_was(tmp_path: Path, fails: bool) -> None:
    run = loaded(tmp_path, f'{{"at":1.0,"data":{SAID}}}')
    for was_on in (False, True):
        (gc.enable if was_on else gc.disable)()
        try:
            if fails:
                with pytest.raises(InputError):
                    letta_nb.steps_df([run, run])
            else:
                letta_nb.steps_df(run)
            assert gc.isenabled() is was_on
        finally:
            gc.enable()
