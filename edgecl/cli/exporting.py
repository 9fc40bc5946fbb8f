"""Making the backbone, once; and taking what was learned elsewhere as one ONNX file."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from edgecl.cli.options import HomeOption, JsonOption
from edgecl.cli.terminal import Terminal, columns, size

if TYPE_CHECKING:
    from edgecl.home import Home
    from edgecl.workstation.delivery import Delivery, Order

BACKBONE = "efficientnet-lite0"

commands = typer.Typer()
head = typer.Typer(help="Take the learned head elsewhere.", no_args_is_help=True)
commands.add_typer(head, name="head")


@commands.command("export")
def export_backbone(
    backbone: Annotated[
        str, typer.Option(metavar="NAME", help="efficientnet-lite0, -lite1, -lite2, or onnx:FILE of any classifier.")
    ] = BACKBONE,
    calibrate: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Pictures to calibrate int8 on; else sample photographs.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="A new folder, instead of the home.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Even if what was taught can then not be read.")] = False,
    precision: Annotated[
        Literal["both", "int8", "fp32"], typer.Option(help="Which graphs to make.", show_default=True)
    ] = "both",
    features: Annotated[
        str | None, typer.Option(metavar="TENSOR", help="onnx: alone: where its features are; else found.")
    ] = None,
    mean: Annotated[
        tuple[float, float, float] | None,
        typer.Option(metavar="R G B", help="onnx: alone: mean of its pictures, 0 to 255; else ImageNet's."),
    ] = None,
    std: Annotated[
        tuple[float, float, float] | None,
        typer.Option(metavar="R G B", help="onnx: alone: standard deviation of the same."),
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make the backbone, once.

    From its published weights, on a machine with edgecl[train]; into the home, where it becomes the active one.
    """
    from edgecl.home import Home

    place = Home.at(home)
    terminal = Terminal(as_json)
    from edgecl.workstation.classifier import IMAGENET_MEAN, IMAGENET_STD, Reading
    from edgecl.workstation.delivery import Order
    from edgecl.workstation.export import pictures_in

    reading = None
    if (features, mean, std) != (None, None, None):
        reading = Reading(features, mean or IMAGENET_MEAN, std or IMAGENET_STD)
    order = Order(
        backbone,
        None if calibrate is None else pictures_in(calibrate),
        ("fp32", "int8") if precision == "both" else (precision,),
        reading,
    )
    delivery = _deliver(place, terminal, order, out, force)
    record = {"folder": str(delivery.folder), "replaced": delivery.replaced, "parity": delivery.parity}
    terminal.answer({"backbone": delivery.manifest.name} | record, _text(delivery))


@head.command("export")
def export_learned_head(
    out: Annotated[Path | None, typer.Argument(metavar="OUT.onnx", help="The file to write.")] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Compare it with the live path on the memory's pictures.")
    ] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write backbone and head as one ONNX file: picture (uint8, RGB, any size) → probabilities.

    With --verify and no OUT the file is only tried, not kept.
    """
    from edgecl.home import Home

    if out is None and not verify:
        raise typer.BadParameter("name the file to write, or use --verify", param_hint="OUT.onnx")
    from edgecl.workstation.delivery import export_learned

    terminal = Terminal(as_json)
    with Home.at(home).learner(writable=False) as learner, terminal.progress("writing and comparing"):
        made = export_learned(learner, out, verify)
    record: dict[str, Any] = {"file": str(out) if out else None, "bytes": made.bytes, "metadata": made.metadata}
    lines = [f"{out or 'the file'}: {size(made.bytes)}, classes {made.metadata['labels']}"]
    if made.report is not None:
        record["verified"] = dataclasses.asdict(made.report)
        lines.append(
            f"compared on {made.report.pictures} pictures: same class for {100 * made.report.label_agreement:.1f} %, "
            f"probabilities within {made.report.probability_max_abs:.2g}"
        )
    terminal.answer(record, "\n".join(lines))


def ensure_backbone(place: Home, terminal: Terminal) -> None:
    """Export the default backbone where the home never had one and none came with the wheel.

    Raises:
        BackboneMissing: it cannot be made here, or what was there before should rather be put back.
    """
    from edgecl.errors import BackboneMissing, ExtraMissing
    from edgecl.releases import current
    from edgecl.releases.slots import has_releases

    try:
        current(place.folder)
    except BackboneMissing as missing:
        if has_releases(place.folder):
            raise
        terminal.note(f"no backbone in {place.folder} yet: making {BACKBONE}, which takes a minute, once")
        from edgecl.workstation.delivery import Order

        try:
            terminal.note(_text(_deliver(place, terminal, Order(BACKBONE))))
        except ExtraMissing as error:
            raise missing from error


def _deliver(place: Home, terminal: Terminal, order: Order, out: Path | None = None, force: bool = False) -> Delivery:
    from edgecl.workstation.delivery import export_into, export_to

    with terminal.progress(f"exporting {order.backbone}") as step:
        if out is not None:
            return export_to(out, order, lambda text: step(now=text))
        return export_into(place, order, force, lambda text: step(now=text))


def _text(delivery: Delivery) -> str:
    manifest = delivery.manifest
    rows = [
        (
            precision,
            f"{figures['cosine_mean']:.4f}",
            f"{figures['cosine_min']:.4f}",
            f"{100 * figures['class_agreement']:.1f} %",
            f"{figures['trunk_ms'] + figures['tail_ms']:.1f} ms",
            size(manifest.graphs[precision].trunk.bytes + manifest.graphs[precision].tail.bytes),
        )
        for precision, figures in delivery.parity.items()
    ]
    titles = ("precision", "mean cosine", "least cosine", "same nearest class", "a picture", "size")
    replaced = "" if delivery.replaced is None else f", in the place of {delivery.replaced}"
    return (
        f"{manifest.name}: {delivery.folder}{replaced}\n"
        f"compared with the original network:\n{columns(titles, rows, right=range(1, len(titles)))}"
    )
