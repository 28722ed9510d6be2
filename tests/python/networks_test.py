import copy
import dataclasses
import pickle

import pytest

import cpubone


def test_networks_by_name_have_the_published_counts(golden):
    for name in ("nano", "t0", "s0", "b0", "b1", "b2", "b3"):
        facts = golden(f"cpubone-{name}")
        network = cpubone.network(name)
        assert (network.name, network.macs, network.params) == (f"cpubone-{name}", facts["macs"], facts["params"])


def test_an_unknown_name_is_refused_with_names_that_are_near():
    with pytest.raises(ValueError, match="cpubone-b0"):
        cpubone.network("cpubone-b9")


def test_every_listed_network_has_a_family_and_a_source():
    listed = cpubone.networks()
    assert len({entry.name for entry in listed}) == len(listed) >= 40
    assert all(entry.source and entry.family in cpubone.families() for entry in listed)
    assert [entry.name for entry in cpubone.networks("mobileone")] == [f"mobileone-s{i}" for i in range(5)]
    with pytest.raises(ValueError, match='family: got "none", expected one of CPUBone'):
        cpubone.networks("none")


def test_a_configuration_builds_the_network_of_its_name():
    config = cpubone.config("b0")
    assert [stage.width for stage in config.stages] == [16, 32, 64, 128, 256]
    assert config.build() == cpubone.network("b0")
    assert config.describe() == "w16-32-64-128-256 d0-1-1-3-4 g2"
    assert cpubone.Config.from_dict(config.to_dict()) == config


def test_a_changed_configuration_changes_what_it_says():
    config = cpubone.config("b0")
    stages = (*config.stages[:4], dataclasses.replace(config.stages[4], groups=4))
    changed = dataclasses.replace(config, stages=stages, name="mine")
    network = cpubone.network(changed)
    assert network.name == "mine"
    assert network.macs < cpubone.network("b0").macs
    with pytest.raises(ValueError, match="resolution"):
        dataclasses.replace(config, resolution=100).build()
    with pytest.raises(ValueError, match="got 4 stages, expected 5"):
        dataclasses.replace(config, stages=config.stages[:4]).build()
    with pytest.raises(ValueError, match='upsampling: got "cubic", expected nearest or transposed'):
        dataclasses.replace(config, upsampling="cubic").build()


def test_networks_survive_files_and_pickles(tmp_path):
    network = cpubone.network("fasternet-t0")
    network.save(tmp_path / "net.json")
    assert cpubone.Network.load(tmp_path / "net.json") == network
    assert cpubone.network(str(tmp_path / "net.json")) == network
    assert pickle.loads(pickle.dumps(network)) == network
    assert hash(cpubone.Network.from_json(network.json())) == hash(network)


def test_a_bad_file_is_an_error_with_its_path(tmp_path):
    path = tmp_path / "bad.json"
    path.write_text("{")
    with pytest.raises(cpubone.Error, match="bad.json"):
        cpubone.Network.load(path)
    with pytest.raises(cpubone.Error, match="missing.json"):
        cpubone.network(tmp_path / "missing.json")


def test_operators_are_their_text():
    text = "conv2d 1x56x56x32->1x28x28x128 k3x3 s2 p1,1,1,1 g2 act=hardswish f32"
    op = cpubone.Op(text)
    assert str(op) == text
    assert repr(op) == f"cpubone.Op('{text}')"
    assert eval(repr(op)) == op == pickle.loads(pickle.dumps(op))
    assert len({op, cpubone.Op(text)}) == 1
    assert (op.inputs, op.output, op.kernel) == (((1, 56, 56, 32),), (1, 28, 28, 128), (3, 3))
    assert op.macs == 28 * 28 * 128 * 16 * 9
    with pytest.raises(ValueError, match="kernel"):
        cpubone.Op(text.replace("k3x3", "k0x0"))


def test_nodes_as_a_frame_sum_to_the_network():
    pandas = pytest.importorskip("pandas")
    network = cpubone.network("b0")
    frame = network.frame()
    assert isinstance(frame, pandas.DataFrame)
    assert frame["macs"].sum() == network.macs
    assert frame["params"].sum() == network.params
    assert frame.iloc[0]["input"] == (224, 224, 3)


def test_derived_networks():
    network = cpubone.network("b0")
    assert network.features().outputs == [
        [node.name for node in network.nodes if node.stage == f"stage{i}"][-1] for i in (1, 2, 3, 4)
    ]
    assert network.at_resolution(192).input == (1, 192, 192, 3)
    assert len(network.executed().nodes) > len(network.nodes)
    assert cpubone.Network.random(3) == cpubone.Network.random(3)


def test_published_facts_come_with_their_source():
    facts = cpubone.published("b0")
    assert facts["accuracy"]["top1"] == pytest.approx(77.6, abs=0.2)
    assert any(row["device"] and row["latency_ms"] > 0 and row["source"] for row in facts["latency"])
    assert cpubone.published("cpubone-b9") == {"accuracy": None, "latency": []}


def test_notebooks_get_escaped_text():
    network = cpubone.network(dataclasses.replace(cpubone.config("nano"), name="<script>"))
    markup = network._repr_html_()
    assert "<script>" not in markup and "&lt;script&gt;" in markup
    assert repr(cpubone.network("b0")) == "<cpubone.Network cpubone-b0 224x224: 10348488 parameters, 519710080 MACs>"


def test_what_is_no_network_is_refused_with_what_is_expected(predictor):
    for what in (5, None, ["b0"], object()):
        with pytest.raises(ValueError, match="network: got a .*, expected a name"):
            cpubone.network(what)
    prediction = predictor.predict("b0")
    assert cpubone.network(prediction) == cpubone.network("b0")
    with pytest.raises(ValueError, match="network: got a int"):
        predictor.predict(5)


def test_nodes_are_copied_and_pickled():
    node = cpubone.network("b0").nodes[1]
    for same in (copy.deepcopy(node), pickle.loads(pickle.dumps(node))):
        assert (same.name, same.stage, same.op, same.inputs) == (node.name, node.stage, node.op, node.inputs)


def test_a_network_for_other_classes_differs_in_its_last_layer_only():
    b0 = cpubone.network("b0")
    pets = b0.with_classes(37)
    assert pets.nodes[-1].op.output == (1, 1, 1, 37)
    assert [str(node.op) for node in pets.nodes[:-1]] == [str(node.op) for node in b0.nodes[:-1]]
    assert b0.params - pets.params == (1000 - 37) * (b0.nodes[-1].op.inputs[0][3] + 1)
    with pytest.raises(ValueError, match="classes: got 0"):
        b0.with_classes(0)
    with pytest.raises(ValueError, match="does not end in a linear layer"):
        b0.features().with_classes(37)
