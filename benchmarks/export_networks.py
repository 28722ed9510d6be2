"""Writes networks of timm and torchvision, with random weights, as ONNX cases that `onnx FOLDER` reads.

python3 benchmarks/export_networks.py FOLDER [timm:NAME|torchvision:NAME...]; without names: one or two of every family,
below 10 GMACs. Needs torch, onnx, and timm or torchvision. A case is FOLDER/NAME/model.onnx with an input, the
outputs that PyTorch computes in double precision, and in rounding.txt how far its own float32 is from these (relative
L2). What cannot be exported is said on stderr.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import onnx.numpy_helper
import torch

OPSET = 16 if torch.__version__ < "2" else 20
TIMM = """
bat_resnext26ts botnet26t_256 caformer_s18 cait_xxs24_224 coat_lite_mini coat_mini coatnet_0_rw_224 coatnet_rmlp_1_rw_224
convformer_s18 convit_tiny convmixer_768_32 convnext_atto convnext_atto_rms convnext_tiny convnextv2_atto cpubone_b0_bfrobust
crossvit_9_240 crossvit_15_dagger_240 cs3darknet_focus_s cs3sedarknet_l cspnext_s cspresnet50 csatv2 davit_tiny
deit_small_patch16_224 deit_tiny_distilled_patch16_224 deit3_small_patch16_224 densenet121 dla34 dla60_res2net dm_nfnet_f0 dpn68
eca_halonext26ts eca_nfnet_l0 ecaresnet26t edgenext_small edgenext_xx_small efficientformer_l1 efficientformerv2_s0
efficientnet_b0 efficientnet_b0_gn efficientnet_es efficientnetv2_rw_t efficientvim_m1 efficientvit_b0 efficientvit_b2
efficientvit_m2 ese_vovnet19b_dw eva02_tiny_patch14_224 fasternet_t0 fastvit_mci0 fastvit_sa12 fastvit_t8 fbnetc_100 fbnetv3_b
flexivit_small focalnet_tiny_srf gcresnet33ts gcresnext26ts gcvit_xxtiny gernet_s ghostnet_100 ghostnetv2_100 ghostnetv3_100
gmixer_24_224 gmlp_s16_224 haloregnetz_b hardcorenas_a hgnet_tiny hgnetv2_b0 hiera_tiny_224 hieradet_small hrnet_w18_small
iformer_s inception_next_tiny inception_v3 inception_v4 lambda_resnet26t lcnet_100 lcnetv2_base legacy_seresnext26_32x4d
legacy_xception levit_128 levit_conv_256 lowformer_b0 mambaout_femto maxvit_tiny_rw_224 maxxvitv2_nano_rw_256 mixer_s16_224
mixnet_s mnasnet_100 mobilenet_edgetpu_v2_s mobilenetv1_100 mobilenetv2_100 mobilenetv3_large_100 mobilenetv4_conv_small
mobilenetv4_hybrid_medium mobileone_s0 mobilevit_s mobilevit_xxs mobilevitv2_100 mvitv2_tiny nest_tiny nextvit_small nf_regnet_b0
nf_resnet50 pit_s_224 pit_ti_distilled_224 poolformer_s12 poolformerv2_s12 pvt_v2_b0 pvt_v2_b2_li rdnet_tiny regnetv_040
regnetx_008 regnety_008 regnetz_b16 repghostnet_100 repvgg_a0 repvit_m0_9 res2net50_26w_4s resmlp_12_224 resnest14d resnest26d
resnet18 resnet50 resnetblur18 resnetrs50 resnetv2_50 resnetv2_50d_gn resnext26ts rexnet_100 sebotnet33ts_256 selecsls42b
semnasnet_100 seresnet33ts sequencer2d_s shvit_s1 skresnet18 spnasnet_100 starnet_s1 swiftformer_xs swin_s3_tiny_224
swin_tiny_patch4_window7_224 swinv2_cr_tiny_224 swinv2_tiny_window8_256 tf_efficientnetv2_b0 tf_mobilenetv3_small_075
tiny_vit_5m_224 tinynet_a tnt_s_patch16_224 tresnet_m twins_pcpvt_small twins_svt_small visformer_tiny vit_pwee_patch16_reg1_gap_256
vit_relpos_small_patch16_224 vit_small_patch16_224 vit_srelpos_small_patch16_224 vit_tiny_r_s16_p8_224 vitamin_small_224
volo_d1_224 wide_resnet50_2 xception41 xcit_nano_12_p16_224 xcit_tiny_12_p16_224
"""
TORCHVISION_PARTS = (
    "segmentation.deeplabv3_mobilenet_v3_large",
    "segmentation.deeplabv3_resnet50",
    "segmentation.fcn_resnet50",
    "segmentation.lraspp_mobilenet_v3_large",
    "detection.fpn_resnet50",
    "detection.fpn_mobilenet_v3_large",
    "detection.vgg16",
)


def torchvision_names() -> list[str]:
    import torchvision

    builders = vars(torchvision.models).items()
    classifiers = [n for n, f in builders if callable(f) and n.islower() and hasattr(f, "__wrapped__")]
    return sorted(classifiers) + list(TORCHVISION_PARTS)


def torchvision_network(name: str) -> torch.nn.Module:
    from torchvision import models
    from torchvision.models.detection import backbone_utils

    if name.startswith("segmentation."):
        return getattr(models.segmentation, name.split(".")[1])(weights=None, weights_backbone=None)
    if name == "detection.fpn_resnet50":
        return backbone_utils.resnet_fpn_backbone(backbone_name="resnet50", weights=None)
    if name == "detection.fpn_mobilenet_v3_large":
        return backbone_utils.mobilenet_backbone(backbone_name="mobilenet_v3_large", weights=None, fpn=True)
    if name == "detection.vgg16":
        return models.vgg16(weights=None).features
    return getattr(models, name)(weights=None)


def build(name: str) -> tuple[torch.nn.Module, tuple[int, ...]]:
    library, _, network = name.partition(":")
    if library == "timm":
        import timm

        module = timm.create_model(network, pretrained=False, exportable=True)
        return module, (1, *module.default_cfg["input_size"])
    if library == "torchvision":
        return torchvision_network(network), (1, 3, 224 if network != "inception_v3" else 299) + (
            (224,) if network != "inception_v3" else (299,)
        )
    raise SystemExit(f'"{name}": expected timm:NAME or torchvision:NAME')


@torch.no_grad()
def shake(module: torch.nn.Module) -> None:
    """Fresh norms do nothing and fresh layer scales hide what they scale: random ones show what is wrong."""
    for values in module.parameters():
        if values.numel() < 2:
            continue
        if (values == values.flatten()[0]).all():
            if values.flatten()[0] == 0:
                values.normal_(0, 0.05)
            else:
                values.uniform_(0.5, 1.5)


@torch.no_grad()
def settle(module: torch.nn.Module, shape: tuple[int, ...]) -> None:
    """Statistics of two images, so that deep networks neither explode nor end as rounding errors."""
    norms = [m for m in module.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    module.eval()
    for norm in norms:
        norm.momentum = 1.0
        norm.train()
    module(torch.randn(2, *shape[1:]))
    module.eval()


class Outputs(torch.nn.Module):
    """Outputs as a tuple, whatever a network calls them."""

    def __init__(self, module: torch.nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        found = self.module(image)
        if isinstance(found, dict):
            found = tuple(found.values())
        return tuple(found) if isinstance(found, (tuple, list)) else (found,)


def export(name: str, folder: Path) -> Path:
    """Writes one case and returns its folder."""
    torch.manual_seed(0)
    module, shape = build(name)
    shake(module)
    settle(module, shape)
    module = Outputs(module).eval()
    image = torch.randn(shape)
    case = folder / name.replace(":", "-")
    data = case / "test_data_set_0"
    data.mkdir(parents=True, exist_ok=True)
    with torch.no_grad():
        rounded = module(image)
        outputs = module.double()(image.double())
        module.float()
    rounding = max(((a - b).norm() / b.norm()).item() for a, b in zip(rounded, outputs))
    (data / "rounding.txt").write_text(f"{rounding:.3g}\n")
    # With gradients, as attention is one operator that cannot be exported without.
    torch.onnx.export(module, (image,), str(case / "model.onnx"), opset_version=OPSET, input_names=["image"])
    for kind, tensors in (("input", [image]), ("output", outputs)):
        for i, tensor in enumerate(tensors):
            proto = onnx.numpy_helper.from_array(tensor.float().numpy(), f"{kind}_{i}")
            (data / f"{kind}_{i}.pb").write_bytes(proto.SerializeToString())
    return case


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0].startswith("-"):
        print(__doc__, file=sys.stderr)
        return 2
    warnings.filterwarnings("ignore")
    names = arguments[1:] or [f"timm:{n}" for n in TIMM.split()] + [f"torchvision:{n}" for n in torchvision_names()]
    failed = 0
    for name in names:
        try:
            export(name, Path(arguments[0]))
        except Exception as e:  # whatever a network or the exporter throws
            failed += 1
            print(f"{name}: {type(e).__name__}: {str(e).splitlines()[0] if str(e) else ''}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
