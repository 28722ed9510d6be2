import subprocess
import sys
import warnings

import numpy
import pytest

import cpubone

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    torch = pytest.importorskip("torch")
    timm = pytest.importorskip("timm")

import cpubone.timm  # noqa: E402

needs_xnnpack = pytest.mark.skipif(not cpubone._core.has_xnnpack, reason="built without XNNPACK")


@pytest.fixture(scope="module")
def proposal(predictor, tmp_path_factory):
    """The file of the fastest network that a search proposes."""
    folder = tmp_path_factory.mktemp("explored")
    found = cpubone.explore(predictor, evaluations=2000, proposals=5, threads=1, progress=False)
    found.save(folder)
    return folder / "networks" / f"{found.proposals[0].name}.json"


def create(name="cpubone", size=64, **options):
    return timm.create_model(name, img_size=size, **options).eval()


def test_timm_makes_every_network_of_the_zoo():
    names = timm.list_models(module="timm", filter="cpubone*")
    assert len(names) == len(cpubone.networks()) + 1
    assert {"cpubone", "cpubone_b0", "cpubone_fasternet_t0", "cpubone_resnet18"} <= set(names)
    for name in ("cpubone_nano", "cpubone_mobileone_s0", "cpubone_repvit_m0_9", "cpubone_lowformer_b0"):
        model = create(name)
        with torch.no_grad():
            assert model(torch.zeros(1, 3, 64, 64)).shape == (1, 1000), name


def test_timm_reads_how_images_are_prepared():
    data = timm.data.resolve_data_config({}, model=timm.create_model("cpubone_nano"))
    assert data["input_size"] == (3, 224, 224) and data["crop_pct"] == 0.95 and data["interpolation"] == "bicubic"
    assert data["mean"] == (0.485, 0.456, 0.406) and data["std"] == (0.229, 0.224, 0.225)


def test_a_proposal_is_made_from_its_file_for_other_classes_and_channels(proposal):
    model = create(config=str(proposal), num_classes=7, in_chans=1)
    assert model(torch.zeros(2, 1, 64, 64)).shape == (2, 7)
    assert model.num_classes == 7 and model.get_classifier().out_features == 7
    model.reset_classifier(3)
    assert model(torch.zeros(2, 1, 64, 64)).shape == (2, 3)
    assert model.fold()(torch.zeros(2, 1, 64, 64)).shape == (2, 3)


def test_without_classes_a_model_gives_what_its_classifier_reads():
    torch.manual_seed(1)
    model, without = create("cpubone_nano"), create("cpubone_nano", num_classes=0)
    without.load_state_dict(model.state_dict(), strict=False)
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        features = model.forward_features(x)
        assert features.shape == (2, model.num_features, 2, 2)
        torch.testing.assert_close(without(x), model.forward_head(features, pre_logits=True))
        torch.testing.assert_close(model.get_classifier()(without(x)), model(x))
        assert without(x).shape == (2, model.head_hidden_size)


@pytest.mark.parametrize("name", ["cpubone_nano", "cpubone_fasternet_t0"])
def test_feature_maps_come_at_every_stride_and_from_no_more_layers_than_needed(name):
    torch.manual_seed(1)
    model = create(name)
    maps = timm.create_model(name, features_only=True, out_indices=(-3, -1), img_size=64).eval()
    assert maps.feature_info.reduction() == [8, 32]
    maps.model.load_state_dict(model.state_dict(), strict=False)
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        eighth, last = maps(x)
        torch.testing.assert_close(last, model.forward_features(x))
    assert [eighth.shape[1], last.shape[1]] == maps.feature_info.channels()
    assert eighth.shape[2:] == (8, 8)
    every = timm.create_model(name, features_only=True)
    assert every.feature_info.reduction()[-4:] == [4, 8, 16, 32]
    assert sum(p.numel() for p in every.parameters()) < sum(p.numel() for p in model.parameters()) - 1_000_000


def test_stochastic_depth_rises_from_block_to_block_as_the_reference_codes_have_it():
    def rates(name, rate=0.1):
        return timm.create_model(name, drop_path_rate=rate)._drop_path

    # Strided blocks and the stem are never left out; the code finds a block's convolution before its attention.
    nano = rates("cpubone_nano", 0.09)
    assert list(nano)[:4] == ["stage3.1.local.add", "stage3.1.attention.add", "stage3.1.mlp.add", "stage4.1.local.add"]
    assert list(nano.values()) == pytest.approx([0.01 * n for n in range(1, 10)])
    b3 = rates("cpubone_b3")
    assert list(b3)[0] == "stage2.2.add" and max(b3.values()) == 0.1  # without the first two
    fasternet = rates("cpubone_fasternet_t0")
    assert list(fasternet.values()) == pytest.approx([0.1 * n / 12 for n in range(13)])
    with pytest.raises(ValueError, match="drop path: got 0.1 for mobileone-s0, which has 0 residual branches"):
        rates("cpubone_mobileone_s0")


def test_images_in_training_go_without_a_branch_as_often_as_asked():
    torch.manual_seed(1)
    model = create("cpubone_nano", 32)
    x = torch.randn(1, 3, 32, 32).expand(400, 3, 32, 32)
    for norm in model.modules():
        norm.momentum = 0  # statistics stay
    with torch.no_grad():
        whole = model(x)
        model._drop_path = {"stage3.1.attention.add": 0.25}
        torch.testing.assert_close(model(x), whole)  # in evaluation nobody does
        node = next(n for n in model._nodes if n.name == "stage3.1.attention.add")
        model.train()
        branch, shortcut = torch.ones(4000, 2, 1, 1), torch.zeros(4000, 2, 1, 1)
        summed = model._apply_node(node, [branch, shortcut])[:, 0, 0, 0]
    assert sorted(set(summed.tolist())) == pytest.approx([0, 4 / 3])
    assert abs((summed == 0).float().mean().item() - 0.25) < 0.03


def test_older_checkpoints_of_cpubone_load_by_name(tmp_path):
    torch.manual_seed(1)
    model = create("cpubone_nano")
    state = model.state_dict()
    older = {k.replace("conv_proj.conv.", "conv_proj.0.").replace("conv_proj.norm.", "conv_proj.1."): state[k] for k in state}
    assert older.keys() != state.keys()
    torch.save({"epoch": 1, "state_dict": older}, tmp_path / "evalmodel.pt")
    loaded = create("cpubone_nano", checkpoint_path=str(tmp_path / "evalmodel.pt"))
    for key, value in loaded.state_dict().items():
        assert torch.equal(value, state[key]), key


@pytest.mark.parametrize("name", ["cpubone_nano", "cpubone_t0", "cpubone_s0", "cpubone_b3"])
def test_weights_of_timms_own_cpubone_give_the_same_logits(name, tmp_path):
    own = pytest.importorskip("timm.models.cpubone")
    torch.manual_seed(1)
    theirs = getattr(own, name)(drop_path_rate=0.0).eval()
    for norm in theirs.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            norm.running_mean.uniform_(-0.2, 0.2)
            norm.running_var.uniform_(0.6, 1.5)
    torch.save(theirs.state_dict(), tmp_path / "theirs.pth")
    overlay = {"file": str(tmp_path / "theirs.pth")}
    ours = create(name, 224, pretrained=True, pretrained_cfg_overlay=overlay)
    x = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        expected = theirs(x)
        assert (ours(x) - expected).abs().max() < 1e-4 * expected.abs().max()
    assert ours.pretrained_cfg["hf_hub_id"] == f"timm/{name}.r224_in1k"
    fewer = create(name, 224, pretrained=True, pretrained_cfg_overlay=overlay, num_classes=10)
    assert fewer.get_classifier().weight.shape[0] == 10


def test_a_script_of_timms_knows_the_networks(tmp_path):
    script = tmp_path / "train.py"
    script.write_text("import sys, timm\nprint(sys.argv[1:], timm.create_model('cpubone_nano', num_classes=2).num_classes)\n")
    command = [sys.executable, "-m", "cpubone", "timm", str(script), "--epochs", "3"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.stdout == "['--epochs', '3'] 2\n", result.stderr


@pytest.fixture
def one_thread():
    """Sums have one order then."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@needs_xnnpack
def test_a_proposal_that_timm_trained_on_digits_is_as_accurate_on_xnnpack(proposal, one_thread):
    """Images of handwritten digits, 8 x 8, enlarged; timm's loss, optimiser, schedule, clipping and moving average."""
    digits = pytest.importorskip("sklearn.datasets").load_digits()
    from timm.loss import LabelSmoothingCrossEntropy
    from timm.optim import create_optimizer_v2
    from timm.scheduler import CosineLRScheduler
    from timm.utils import AverageMeter, accuracy, dispatch_clip_grad, random_seed

    random_seed(3)
    images = torch.from_numpy(digits.images.astype(numpy.float32) / 8 - 1)[:, None]
    images = torch.nn.functional.interpolate(images, size=32, mode="bilinear", align_corners=False)
    labels = torch.from_numpy(digits.target)
    held_out = torch.arange(len(labels)) % 4 == 0
    train, test = (images[~held_out], labels[~held_out]), (images[held_out], labels[held_out])

    epochs, batch = 3, 64
    model = timm.create_model("cpubone", config=proposal, img_size=32, in_chans=1, num_classes=10, drop_path_rate=0.05)
    optimizer = create_optimizer_v2(model, opt="adamw", lr=2e-3, weight_decay=0.05)
    scheduler = CosineLRScheduler(optimizer, t_initial=epochs, warmup_t=1, warmup_lr_init=1e-4)
    loss_of = LabelSmoothingCrossEntropy(0.1)
    for epoch in range(epochs):
        scheduler.step(epoch)
        losses = AverageMeter()
        for chosen in torch.randperm(len(train[1])).split(batch):
            loss = loss_of(model(train[0][chosen]), train[1][chosen])
            optimizer.zero_grad()
            loss.backward()
            dispatch_clip_grad(model.parameters(), 1.0)
            optimizer.step()
            losses.update(loss.item(), len(chosen))
    inference = model.eval().fold()
    with torch.no_grad():
        logits = model(test[0])
    top1 = accuracy(logits, test[1])[0].item()
    assert top1 > 90, losses.avg
    ran = torch.from_numpy(inference.executor().run(test[0].numpy(), layout="nchw"))
    assert accuracy(ran, test[1])[0].item() == pytest.approx(top1, abs=0.3)  # one of 450 images may be a tie
    assert (ran - logits).abs().max() < 1e-3 * logits.abs().max()
