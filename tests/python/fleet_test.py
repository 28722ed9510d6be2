import json
import os
import random
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import cpubone

distributed = pytest.importorskip("distributed")

from cpubone import fleet  # noqa: E402
from cpubone.fleet import _pool, _shelf  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # Dask's own, which differ from version to version

HERE = Path(__file__).resolve().parent
OPS = [f"conv2d 1x14x14x{8 * i}->1x14x14x16 k1x1 s1 p0,0,0,0 g1 f32" for i in range(1, 241)]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Cluster:
    """A scheduler and workers, each a process, with a board of the shelf on each worker."""

    def __init__(self, folder, workers=4, options=(), protocol="tcp"):
        self.folder = folder
        self.options = list(options)
        self.address = f"{protocol}://127.0.0.1:{free_port()}"
        self.processes = {}
        self.start_scheduler()
        self.names = [f"board-{i}" for i in range(workers)]
        self.mend()

    def start(self, name, module, *arguments):
        environment = {**os.environ, "CPUBONE_FAULTS": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, "-W", "ignore", "-m", f"distributed.cli.{module}", *arguments, *self.options]
        with open(self.folder / f"{name}.log", "ab") as log:
            self.processes[name] = subprocess.Popen(command, env=environment, stdout=log, stderr=log)

    def start_scheduler(self):
        self.start("scheduler", "dask_scheduler", "--host", self.address, "--no-dashboard", "--no-show")

    def mend(self):
        """Starts every worker that is gone."""
        for name in self.names:
            if name not in self.processes or self.processes[name].poll() is not None:
                self.start(name, "dask_worker", self.address, "--name", name, "--nthreads", "1", "--no-nanny",
                           "--no-dashboard", "--resources", "shelf=1", "--preload", str(HERE / "fleet_board.py"))  # fmt: skip

    def kill(self, name):
        self.processes[name].kill()
        self.processes[name].wait()

    def restart_scheduler(self):
        self.kill("scheduler")
        self.start_scheduler()

    def fault(self, name, *faults):
        (self.folder / name).write_text("\n".join(faults))

    def heal(self):
        for path in self.folder.iterdir():
            if path.suffix == ".hung":
                self.kill(path.stem)
            if path.suffix in ("", ".slow", ".other", ".hung") or path.name in ("jobs.log", "epochs.log"):
                path.unlink()
        self.mend()

    def wait(self):
        """Until every worker is there; one that was on its way out when it was looked at is started again."""
        with distributed.Client(self.address, timeout=30) as client:
            for _ in range(60):
                try:
                    return client.wait_for_workers(len(self.names), timeout=2)
                except distributed.TimeoutError:
                    self.mend()
        raise AssertionError("the workers did not come")

    def jobs(self):
        log = self.folder / "jobs.log"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def epochs(self):
        """Tasks of islands that workers began."""
        log = self.folder / "epochs.log"
        return log.read_text().split() if log.exists() else []

    def close(self):
        for process in self.processes.values():
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    cluster = Cluster(tmp_path_factory.mktemp("cluster"), workers=5)
    yield cluster
    cluster.close()


@pytest.fixture
def cluster(whole):
    whole.heal()
    whole.wait()
    yield whole


def measure(cluster, **options):
    arguments = {"ops": OPS, "budget_s": 0.1, "patience_s": 20.0, "progress": False, **options}
    return fleet.profile(["shelf"], cluster=cluster.address, **arguments)["shelf"]


def rows(shelf):
    """What matters of a profile, in its order."""
    return [(str(record.op), record.latency_ms) for record in shelf.profile.ops]


def of(result):
    values = json.loads(result.json())
    del values["created"]
    return values


SEARCH = {"evaluations": 12_000, "islands": 8, "generations": 5, "seed": 3, "progress": False}


@pytest.fixture(scope="module")
def alone(predictor):
    """What C++ threads find."""
    devices = {"paper": predictor, "pi5": cpubone.Predictor.of_device("pi5")}
    return cpubone.explore(devices, threads=2, **SEARCH)


def explore(cluster, predictor, **options):
    devices = {"paper": predictor, "pi5": cpubone.Predictor.of_device("pi5")}
    return fleet.explore(devices, cluster=cluster.address, **{**SEARCH, **options})


def same(found, alone):
    assert of(found.result) == of(alone.result)
    assert [of(one) for one in found.elsewhere] == [of(one) for one in alone.elsewhere]
    assert [p.network for p in found.proposals] == [p.network for p in alone.proposals]


def test_a_cluster_finds_what_threads_find(cluster, predictor, alone):
    same(explore(cluster, predictor), alone)
    assert len(alone.elsewhere) == 1 and alone.elsewhere[0].values["device"]["name"] == "pi5"


def test_a_search_outlives_workers_that_die_lie_or_hang(cluster, predictor, alone, capfd):
    cluster.fault("board-0", "kill")
    cluster.fault("board-1", "wrong")
    cluster.fault("board-2", "hang")
    same(explore(cluster, predictor, patience_s=5.0), alone)
    said = capfd.readouterr().err
    assert "worker board-1 is left out: " in said and "expected the same version of cpubone" in said
    assert "worker board-2 is left out: no answer within 5 s" in said


def test_ten_random_faults_and_a_new_scheduler_end_with_the_same_search_as_none(cluster, predictor, alone):
    rng = random.Random(5)
    faults = [["kill"] * 3 + [rng.choice(["wrong", "torn"])] for _ in range(2)] + [["kill", "hang"]]
    assert sum(map(len, faults)) == 10
    for name, each in zip(cluster.names, faults):
        cluster.fault(name, *each)
    ended = threading.Event()
    restarted = []

    def keep_running():  # as who starts workers does
        while not ended.wait(0.1):
            cluster.mend()
            if not restarted and len(cluster.epochs()) >= 6:
                restarted.append(True)
                cluster.restart_scheduler()

    keeper = threading.Thread(target=keep_running)
    keeper.start()
    try:
        same(explore(cluster, predictor, patience_s=8.0), alone)
    finally:
        ended.set()
        keeper.join()
    assert restarted


def test_a_search_that_was_stopped_goes_on_from_its_journal(cluster, predictor, alone, tmp_path):
    def stop(fraction, *_):
        if fraction > 0.6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        explore(cluster, predictor, journal=tmp_path, progress=stop)
    kept = (tmp_path / "search.jsonl").read_text().splitlines()[1:]
    before = set(cluster.epochs())
    assert len(kept) >= 8
    with open(tmp_path / "search.jsonl", "ab") as file:
        file.write(b'{"task": "torn')
    same(explore(cluster, predictor, journal=tmp_path, resume=True), alone)
    again = cluster.epochs()
    assert len(again) - len(set(again)) <= len(before) - len(kept)  # only what was not finished
    with pytest.raises(cpubone.Error, match="another plan"):
        fleet.explore({"paper": predictor}, cluster=cluster.address, journal=tmp_path, resume=True, **SEARCH)


def test_accuracies_of_ones_own_networks_travel_to_the_islands(cluster, predictor, tmp_path):
    table = tmp_path / "own.csv"
    table.write_text("network,top1\ncpubone-nano,60\ncpubone-b0,64.5\n")
    found = fleet.explore({"paper": predictor}, accuracy=table, cluster=cluster.address, **SEARCH)
    same(found, cpubone.explore({"paper": predictor}, accuracy=table, threads=2, **SEARCH))
    assert cluster.epochs()
    with pytest.raises(ValueError, match="expected the path of a CSV"):
        fleet.explore({"paper": predictor}, accuracy=lambda network: 80.0, cluster=cluster.address, **SEARCH)


def test_boards_get_equal_shares_and_the_last_jobs_are_the_smallest():
    assert _shelf.job_sizes(180, 2) == [30, 30, 25, 25, 20, 20, 15, 15]
    assert _shelf.job_sizes(70, 5) == [14] * 5  # small ones would be measured to compare boards, mostly
    assert _shelf.job_sizes(2, 5) == [1, 1] and _shelf.job_sizes(0, 5) == []


def test_predictions_are_those_of_this_process(cluster, predictor):
    names = ["b0", "b1", "nano"] * 30
    found = fleet.predict(names, {"paper": predictor}, cluster=cluster.address, progress=False)
    expected = {name: predictor.predict(name) for name in names}
    assert [one.ms for one in found] == [expected[name].latency_ms for name in names]
    assert found[0] == ("paper", "cpubone-b0", expected["b0"].latency_ms, expected["b0"].low_ms, expected["b0"].high_ms)


def test_a_shelf_shares_one_plan(cluster):
    shelf = measure(cluster)
    assert sorted(op for op, _ in rows(shelf)) == sorted(OPS) and not shelf.set_aside
    assert set(shelf.boards) == set(cluster.names)
    of_boards = [str(record.op) for board in shelf.boards.values() for record in board.ops]
    assert sorted(of_boards) == sorted(OPS)  # each operator is of one board


def test_boards_that_are_not_equal_are_named_and_not_mixed(cluster, capfd):
    usual = measure(cluster)
    (cluster.folder / "board-1.slow").touch()
    (cluster.folder / "board-3.other").touch()
    shelf = measure(cluster)
    assert rows(shelf) == rows(usual)
    assert shelf.set_aside["board-1"] == "60% slower than its shelf on 6 operators that all measured"
    assert shelf.set_aside["board-3"].startswith("another kind of board, runtime or setting than board-0")
    assert set(shelf.boards) <= {"board-0", "board-2", "board-4"}
    assert "shelf: board-1 is set aside: 60% slower" in capfd.readouterr().err


def test_ten_random_faults_end_with_the_same_profile_as_none(cluster):
    usual = rows(measure(cluster))
    cluster.heal()
    rng = random.Random(7)
    # A board may die as often as it likes; it is set aside for its second wrong answer, for silence or another kind.
    faults = [["kill", rng.choice(["nan", "torn", "slow"])] for _ in range(3)]
    for each in faults:
        rng.shuffle(each)
    for each, last in zip(faults, ["hang", "other", rng.choice(["nan", "torn", "slow"])]):
        each.append(last)
    faults[rng.randrange(3)].insert(0, "kill")
    assert sum(map(len, faults)) == 10
    for name, each in zip(cluster.names, faults):
        cluster.fault(name, *each)
    for name in cluster.names[3:]:
        cluster.fault(name, *["wait"] * 20)  # they would measure all before others are back

    shelf = measure(cluster, patience_s=6.0, progress=lambda table: cluster.mend())
    assert rows(shelf) == usual
    assert [(cluster.folder / name).read_text() for name in cluster.names[:3]] == ["", "", ""]  # all came true
    assert set(shelf.set_aside) == set(cluster.names[:3])


def test_a_scheduler_that_is_started_again_loses_nothing(cluster):
    usual = rows(measure(cluster))
    restarted = []

    def restart(table):
        if table[0].done > 80 and not restarted:
            restarted.append(True)
            cluster.restart_scheduler()
        if restarted:  # workers that lost their scheduler end; who keeps them running starts them again
            cluster.mend()

    shelf = measure(cluster, progress=restart, patience_s=60.0)
    assert restarted and rows(shelf) == usual


def test_an_answer_that_went_with_its_worker_and_scheduler_is_lost(tmp_path):
    cluster = Cluster(tmp_path, workers=1)
    try:
        cluster.wait()
        with distributed.Client(cluster.address, timeout=30) as client:
            future = client.submit(str, 1)
            distributed.wait(future)
            cluster.kill("board-0")
            cluster.kill("scheduler")
            with pytest.raises(_pool.Lost):
                _pool.result_of(future, 3.0)
    finally:
        cluster.close()


def test_a_run_that_was_stopped_goes_on_from_its_journal(cluster, tmp_path):
    usual = rows(measure(cluster))
    cluster.heal()

    def stop(table):
        if table[0].done >= 120:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure(cluster, journal=tmp_path, progress=stop)
    path = tmp_path / "shelf.jsonl"
    kept = {row["op"] for line in path.read_text().splitlines()[1:] for row in json.loads(line)["profile"]["ops"]}
    assert len(kept) >= 120
    with open(path, "ab") as file:
        file.write(b'{"job": "torn')
    time.sleep(0.5)
    cluster.heal()
    shelf = measure(cluster, journal=tmp_path, resume=True)
    assert rows(shelf) == usual
    probes = set(OPS[:: len(OPS) // 6][:6])
    again = {op for job in cluster.jobs() for op in job["ops"]} - probes
    assert again.isdisjoint(kept)
    with pytest.raises(cpubone.Error, match="another plan"):
        measure(cluster, journal=tmp_path, resume=True, seed=2)


def test_a_device_without_a_good_board_is_told_with_reasons(cluster):
    for name in cluster.names:
        cluster.fault(name, *["nan"] * 9)
    with pytest.raises(cpubone.Error, match="no board is left to measure 240 of 240 operators .*got NaN, expected a finite number"):
        measure(cluster, patience_s=1.0)


def test_operators_that_there_was_no_time_for_get_more(cluster):
    for name in cluster.names:
        cluster.fault(name, "none", "few", "few")
    shelf = measure(cluster)
    assert sorted(op for op, _ in rows(shelf)) == sorted(OPS) and not shelf.set_aside
    assert len(cluster.jobs()) > 5 + 20  # an overlap each, and four jobs


def test_what_is_no_device_is_refused(predictor):
    with pytest.raises(ValueError, match="ops: got none"):
        fleet.profile(["shelf"], ops=[])
    with pytest.raises(ValueError, match="expected different names"):
        fleet.predict(["b0"], ["pi5", "pi5"])


def test_encrypted_clusters_need_their_certificate(tmp_path, predictor):
    if not shutil.which("openssl"):
        pytest.skip("no openssl here")
    key, certificate = str(tmp_path / "key.pem"), str(tmp_path / "certificate.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost",
                    "-keyout", key, "-out", certificate], check=True, capture_output=True)  # fmt: skip
    options = ["--tls-ca-file", certificate, "--tls-cert", certificate, "--tls-key", key]
    cluster = Cluster(tmp_path, workers=1, options=options, protocol="tls")
    try:
        security = distributed.Security(
            tls_ca_file=certificate, tls_client_cert=certificate, tls_client_key=key, require_encryption=True
        )
        found = fleet.predict(["b0"], {"paper": predictor}, cluster=cluster.address, security=security, progress=False)
        assert found[0].ms == predictor.predict("b0").latency_ms
        with pytest.raises(cpubone.Error, match="no scheduler answers at tls://"):
            fleet.predict(["b0"], {"paper": predictor}, cluster=cluster.address, patience_s=1.0, progress=False)
    finally:
        cluster.close()


def test_without_dask_it_says_what_to_install():
    code = "import sys; sys.modules['distributed'] = None; import cpubone.fleet"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "apt install python3-distributed" in run.stderr and "cpubone[fleet]" in run.stderr
