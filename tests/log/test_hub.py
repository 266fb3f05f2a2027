"""MessageHub, MMLogger and the table of instances: one run's words never reach another's."""

import gc
import json
import logging
import threading
import weakref

import pytest
import torch

from loopwright.log import EventStorage, HistoryBuffer, MessageHub, MMLogger, print_log
from loopwright.log.instances import Named


@pytest.fixture(autouse=True)
def nothing_left():
    yield
    for kind in (MessageHub, MMLogger):
        kind.forget_instances()


def test_scalars_of_the_hub_are_those_of_the_storage():
    storage = EventStorage()
    hub = MessageHub("run", storage=storage)
    hub.update_scalar("train/loss", torch.tensor(0.5))
    hub.update_scalars({"train/loss": {"value": 3.0, "count": 2}, "train/acc": 1})
    assert hub.get_scalar("train/loss").mean(2) == 3.5 / 3
    assert storage.latest()["train/acc"] == (1.0, 0)
    assert set(hub.log_scalars) == {"train/loss", "train/acc"}


def test_tensors_given_to_the_hub_stay_unread_until_asked_for():
    hub = MessageHub("run")
    hub.update_scalar("loss", torch.tensor(1.0))
    assert len(hub.storage._pending) == 1


def test_a_missing_scalar_is_a_key_error_and_a_missing_fact_the_default():
    hub = MessageHub("run")
    with pytest.raises(KeyError, match="no scalar 'x'"):
        hub.get_scalar("x")
    assert hub.get_info("x") is None
    assert hub.get_info("x", 3) == hub.pop_info("x", 3) == 3


def test_whether_a_key_is_resumed_cannot_change():
    hub = MessageHub("run")
    hub.update_info("a", 1, resumed=False)
    with pytest.raises(ValueError, match="resumed=False before"):
        hub.update_info("a", 2)
    assert hub.get_info("a") == 1


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda hub: hub.update_scalar("q", torch.ones(3)), TypeError),
        (lambda hub: hub.update_scalar("q", "text"), TypeError),
        (lambda hub: hub.update_scalars([1]), TypeError),
        (lambda hub: hub.update_scalars({"q": {"val": 1}}), ValueError),
        (lambda hub: hub.update_info_dict([1]), TypeError),
        (lambda hub: MessageHub("x", log_scalars={"a": 1}), TypeError),
    ],
)
def test_wrong_values_are_refused(call, error):
    with pytest.raises(error):
        call(MessageHub("run"))


def test_a_hub_continues_from_its_state_without_what_is_not_resumed():
    hub = MessageHub("run", log_scalars={"old": HistoryBuffer([1.0])})
    hub.update_scalar("loss", 1.0)
    hub.update_scalar("gone", 1.0, resumed=False)
    hub.update_info_dict({"kept": [1, {"a": 2.5}]})
    hub.update_info("lost", 5, resumed=False)
    state = json.loads(json.dumps(hub.state_dict()))
    fresh = MessageHub("other")
    fresh.load_state_dict(state)
    assert set(fresh.log_scalars) == {"old", "loss"}
    assert fresh.runtime_info == {"kept": [1, {"a": 2.5}]}


def test_a_fact_that_is_no_data_stays_out_of_the_checkpoint_and_says_so(caplog):
    hub = MessageHub("run")
    hub.update_info("object", object())
    hub.update_info("number", 1)
    assert hub.state_dict()["runtime_info"] == {"number": 1}
    assert "['object']" in caplog.text


def test_a_hub_over_a_storage_of_another_owner_does_not_save_it_twice():
    hub = MessageHub("run", storage=EventStorage())
    hub.update_scalar("loss", 1.0)
    assert "storage" not in hub.state_dict()


def test_two_runs_of_one_name_share_nothing_and_each_is_current_in_its_own_thread():
    hubs = [MessageHub("same"), MessageHub("same")]
    gate, seen = threading.Barrier(2), [None, None]

    def run(i):
        with hubs[i].current():
            gate.wait(10)
            MessageHub.get_current_instance().update_info("who", i)
            seen[i] = MessageHub.get_instance("same")
            gate.wait(10)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [hub.get_info("who") for hub in hubs] == [0, 1]
    assert seen == hubs
    assert not MessageHub.check_instance_created("same")


def test_a_run_that_ended_is_released():
    hub = MessageHub("run")
    with hub.current():
        assert MessageHub.get_current_instance() is hub
    there = weakref.ref(hub)
    del hub
    gc.collect()
    assert there() is None


def test_instances_are_found_by_name_and_the_last_made_is_current():
    first = MessageHub.get_instance("a")
    second = MessageHub.get_instance("b")
    assert MessageHub.get_instance("a") is first
    assert MessageHub.get_current_instance() is second
    assert MessageHub.check_instance_created("a")
    with pytest.raises(ValueError, match="non-empty name"):
        MessageHub.get_instance("")


def test_the_table_of_instances_is_bounded():
    for number in range(100):
        MessageHub.get_instance(f"hub{number}")
    assert len(MessageHub._table) == 64


def test_a_constructor_that_fails_leaves_no_lock_behind():
    class Broken(Named):
        def __init__(self, name):
            raise RuntimeError(name)

    with pytest.raises(RuntimeError):
        Broken.get_instance("x")
    found = []
    thread = threading.Thread(target=lambda: found.append(Broken.check_instance_created("x")))
    thread.start()
    thread.join(5)
    assert found == [False]


def test_two_loggers_of_one_name_write_to_their_own_files(tmp_path):
    loggers = [MMLogger("same", log_file=tmp_path / f"{n}.log") for n in "ab"]
    for number, logger in enumerate(loggers):
        logger.info("run %d", number)
        logger.close()
    texts = [(tmp_path / f"{n}.log").read_text() for n in "ab"]
    assert ["run 0" in texts[0], "run 1" in texts[1]] == [True, True]
    assert texts[0].count("\n") == texts[1].count("\n") == 1


def test_a_log_line_holds_time_name_and_level(tmp_path, capsys):
    logger = MMLogger("run", logger_name="mine", log_file=tmp_path / "x.log")
    logger.info("hello")
    logger.debug("not said")
    logger.close()
    (line,) = (tmp_path / "x.log").read_text().splitlines()
    assert line.endswith(" - mine - INFO - hello")
    assert "hello" in capsys.readouterr().out


def test_the_same_warning_is_said_once(tmp_path):
    logger = MMLogger("run", log_file=tmp_path / "x.log")
    for _ in range(3):
        logger.warning("careful")
        logger.info("again")
    logger.close()
    text = (tmp_path / "x.log").read_text()
    assert (text.count("careful"), text.count("again")) == (1, 3)


def test_other_ranks_write_files_of_their_own_and_only_when_asked(tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "2")
    MMLogger("run", log_file=tmp_path / "a.log").info("x")
    logger = MMLogger("run", log_file=tmp_path / "b.log", distributed=True)
    logger.info("x")
    logger.close()
    assert [path.name for path in tmp_path.iterdir()] == ["b_rank2.log"]


def test_an_unknown_level_lists_the_known_ones():
    with pytest.raises(ValueError, match="DEBUG"):
        MMLogger("run", log_level="LOUD")


def test_print_log_reaches_the_logger_it_names(tmp_path, capsys):
    print_log("bare")
    print_log("nothing", "silent")
    logger = MMLogger.get_instance("named", log_file=tmp_path / "x.log")
    print_log("by name", "named")
    print_log("current", "current", logging.WARNING)
    print_log("direct", logger)
    logger.close()
    text = (tmp_path / "x.log").read_text()
    assert ["by name" in text, "WARNING - current" in text, "direct" in text] == [True] * 3
    assert capsys.readouterr().out.splitlines()[0] == "bare"
    with pytest.raises(ValueError, match="'nobody'"):
        print_log("x", "nobody")
