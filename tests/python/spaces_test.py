import pickle

import pytest

import cpubone

numpy = pytest.importorskip("numpy")


@pytest.fixture(scope="module")
def space():
    return cpubone.SearchSpace.default()


def test_samples_build_and_are_in_the_space(space):
    configs = space.sample(20, seed=7)
    assert configs == space.sample(20, seed=7) != space.sample(20, seed=8)
    for config in configs:
        assert config in space
        assert config.build().macs > 0


def test_encoding_is_the_inverse_of_decoding(space):
    b0 = cpubone.config("b0")
    genome = space.encode(b0)
    assert genome.dtype == numpy.uint8 and len(genome) == len(space.genes)
    assert space.decode(genome).build().rows() == b0.build().rows()
    assert numpy.array_equal(space.encode(space.decode(genome)), genome)


def test_neighbours_differ_from_their_parents(space):
    b0 = cpubone.config("b0")
    neighbours = [space.mutate(b0, rate=0.1, seed=seed) for seed in range(10)]
    assert len({config.describe() for config in neighbours}) > 5
    assert all(config in space for config in neighbours)
    child = space.crossover(b0, cpubone.config("b1"), seed=3)
    assert child in space


def test_wrong_genomes_and_rates_are_refused(space):
    genome = [0] * len(space.genes)
    with pytest.raises(ValueError, match="genome: got 3 genes"):
        space.decode(genome[:3])
    name, count = space.genes[0]
    with pytest.raises(ValueError, match=f'gene "{name}" is {count}, expected 0 to {count - 1}'):
        space.decode([count, *genome[1:]])
    with pytest.raises(ValueError, match="rate"):
        space.mutate(cpubone.config("b0"), rate=0)


def test_spaces_survive_files_dicts_and_pickles(space, tmp_path):
    space.save(tmp_path / "space.json")
    assert cpubone.SearchSpace.load(tmp_path / "space.json") == space == pickle.loads(pickle.dumps(space))
    values = space.to_dict()
    values["resolution"] = [192]
    smaller = cpubone.SearchSpace.from_dict(values)
    assert smaller.size < space.size
    assert {config.resolution for config in smaller.sample(5)} == {192}
    assert cpubone.config("b0") not in smaller
    with pytest.raises(ValueError, match="resolution"):
        smaller.encode(cpubone.config("b0"))


def test_a_space_of_another_skeleton_builds_networks(tmp_path):
    space = cpubone.SearchSpace.named("mnasnet")
    assert space.skeleton == "mnasnet" and cpubone.SearchSpace.default().skeleton == "cpubone"
    assert space.choices("stage1.expansion") == ["1", "4", "6"]
    for genome in space.genomes(5, seed=3):
        assert space.build(genome).macs > 1e7
        assert space.describe(genome).startswith("e")
    with pytest.raises(ValueError, match="it is of skeleton mnasnet, expected cpubone"):
        space.sample(1)
    assert cpubone.config("b0") not in space
    space.save(tmp_path / "space.json")
    assert cpubone.SearchSpace.load(tmp_path / "space.json") == space
    with pytest.raises(KeyError):
        space.choices("stage1.width")


def test_fusing_is_a_choice_by_stage():
    b0 = cpubone.config("b0")
    assert [stage.fused for stage in b0.stages] == [True, True, True, True, False]
    assert b0.fused_below(256) == b0
    mixed = b0.fused_below(cpubone.NEVER_FUSED, strided=64)
    assert [stage.down_fused for stage in mixed.stages[1:]] == [True, False, False, False]
    assert mixed.describe().endswith("unfused down-fused<64")
