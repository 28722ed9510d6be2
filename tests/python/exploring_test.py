import _thread
import pickle
import threading

import pytest

import cpubone


@pytest.fixture(scope="module")
def exploration(predictor):
    return cpubone.explore(predictor, evaluations=2000, proposals=5, threads=1, progress=False)


def test_an_exploration_proposes_networks_that_build(exploration):
    assert len(exploration.proposals) >= 5
    for proposal in exploration.proposals:
        assert proposal.config.build().macs == proposal.network.macs
        assert proposal.name == proposal.network.name
    rows = {row["name"]: row for row in exploration.result.rows()}
    assert {"cpubone-b0", "cpubone-b3"} <= rows.keys()
    assert all(rows[p.name]["macs"] == p.network.macs and rows[p.name]["estimated"] for p in exploration.proposals)
    assert not any(row["measured"] for row in rows.values())


def test_the_same_seed_proposes_the_same(predictor, exploration):
    again = cpubone.explore(predictor, evaluations=2000, proposals=5, threads=2, progress=False)
    assert [p.config for p in again.proposals] == [p.config for p in exploration.proposals]


def test_bounds_are_kept_and_impossible_ones_refused(predictor):
    b0 = predictor.predict("b0").latency_ms
    found = cpubone.explore(predictor, latency_ms=b0, evaluations=2000, proposals=5, progress=False)
    assert all(predictor.predict(p.network).latency_ms <= b0 * 1.001 for p in found.proposals)
    with pytest.raises(cpubone.Error):
        cpubone.explore(predictor, latency_ms=1e-3, evaluations=2000, progress=False)
    with pytest.raises(ValueError, match="algorithm"):
        cpubone.explore(predictor, algorithm="magic", progress=False)


def test_ctrl_c_stops_exploring(predictor):
    timer = threading.Timer(0.3, _thread.interrupt_main)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        cpubone.explore(predictor, evaluations=50_000_000, budget_s=60, progress=False)
    timer.join()


def test_progress_is_reported_and_its_exceptions_raised(predictor):
    def stop(fraction, remaining_s, text):
        assert 0 <= fraction <= 1 and text
        raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        cpubone.explore(predictor, evaluations=2_000_000, progress=stop)


def test_results_become_frames_charts_and_reports(exploration, tmp_path):
    pytest.importorskip("pandas")
    result = exploration.result
    frame = result.frame()
    assert len(frame) == len(result.values["networks"])
    assert set(result.front) <= set(frame.name)
    charts = result.charts()
    assert "front" in charts and charts["front"]["$schema"].endswith("/v5.json")
    with pytest.raises(ValueError, match='chart: got "none", expected one of front'):
        result.chart("none")
    told = result.findings()
    assert "Faster at the accuracy of cpubone-b0" in [finding["title"] for finding in told]
    assert all(finding["sentence"] for finding in told)
    files = {path.name for path in result.report(tmp_path / "report")}
    assert {"report.html", "report.md", "pareto.csv"} <= files
    assert "cpubone-b0" in result._repr_html_()


def test_results_survive_files_and_pickles(exploration, tmp_path):
    exploration.save(tmp_path)
    result = exploration.result
    assert cpubone.Result.load(tmp_path / "result.json") == result == pickle.loads(pickle.dumps(result))
    for proposal in exploration.proposals:
        assert cpubone.network(tmp_path / "networks" / f"{proposal.name}.json") == proposal.network


def test_accuracy_is_estimated_with_an_interval():
    top1, low, high = cpubone.estimated_top1("b0")
    assert low < top1 < high and 70 < top1 < 85


def test_a_name_in_the_place_of_a_predictor_is_refused_with_how_to_make_one():
    with pytest.raises(ValueError, match=r"predictor: got 'pi5', expected .*of_device"):
        cpubone.explore("pi5", progress=False)


def test_backbones_for_detection_are_asked_for(predictor):
    found = cpubone.explore(
        predictor, resolution=(320, 512), features=True, params_m=6, evaluations=2000, proposals=5, progress=False
    )
    for proposal in found.proposals:
        assert proposal.network.input[1:3] == (320, 512)
        assert len(proposal.network.outputs) == 4
        assert proposal.network.params <= 6e6 < proposal.config.build().params
    with pytest.raises(ValueError, match="resolution: got 0, expected pixels above 0"):
        cpubone.explore(predictor, resolution=0, progress=False)


def test_spaces_are_named_and_what_to_train_next_is_told(predictor, tmp_path):
    found = cpubone.explore(predictor, space="fasternet", next=3, evaluations=2000, proposals=5, threads=1, progress=False)
    assert {"fasternet-t0", "fasternet-s"} <= {row["name"] for row in found.result.rows()}
    assert all(proposal.config is None for proposal in found.proposals)
    told = found.result.values["next"]
    assert [network.name for network in found.next] == [row["name"] for row in told] == ["next-1", "next-2", "next-3"]
    assert told[0]["improvement"] >= told[-1]["improvement"] >= 0
    found.save(tmp_path)
    assert cpubone.network(tmp_path / "networks" / "next-1.json") == found.next[0]
    found.result.report(tmp_path)
    assert "## What to train next" in (tmp_path / "report.md").read_text()
    with pytest.raises(ValueError, match='search space: got "fastnet", expected one of default, mnasnet, fasternet'):
        cpubone.explore(predictor, space="fastnet", progress=False)
    with pytest.raises(ValueError, match="next must be in 0..100, got 101"):
        cpubone.explore(predictor, next=101, progress=False)


def test_networks_that_one_trained_set_the_scale_of_accuracies(predictor, tmp_path):
    table = tmp_path / "trained.csv"
    table.write_text("network,top1\ncpubone-nano,60.5\ncpubone-b0,65.0\ncpubone-b1,66.5\n")
    found = cpubone.explore(predictor, accuracy=table, evaluations=2000, proposals=5, threads=1, progress=False)
    rows = {row["name"]: row for row in found.result.rows()}
    assert rows["cpubone-b0"]["top1"] == 65.0
    assert all(rows[proposal.name]["top1"] < 72 for proposal in found.proposals)
    with pytest.raises(cpubone.Error, match="none.csv"):
        cpubone.explore(predictor, accuracy=tmp_path / "none.csv", progress=False)
