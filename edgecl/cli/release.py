"""Releases: what runs, what may run next, what ran before; and who may sign."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from edgecl.cli.options import HomeOption, JsonOption
from edgecl.cli.terminal import Terminal, columns, moment, share, size

if TYPE_CHECKING:
    from edgecl.releases.listing import Listed
    from edgecl.releases.swap import Switched

commands = typer.Typer()
release = typer.Typer(help="Verify, install, try and roll back new tails.", no_args_is_help=True)
commands.add_typer(release, name="release")

NumberArgument = Annotated[
    int, typer.Argument(metavar="N", min=1, help="Number of a release, see: edgecl release list")
]
SourceArgument = Annotated[
    str, typer.Argument(metavar="SOURCE", help="Number of a candidate in this home, a release's folder, or its file.")
]
UnsignedOption = Annotated[
    bool, typer.Option("--unsigned", help="Also without a signature; a wrong one is refused all the same.")
]
KeyOption = Annotated[
    Path | None, typer.Option("--key", metavar="FILE", help="Private key; else keys/release.pem in the home.")
]
PrecisionOption = Annotated[
    Literal["int8", "fp32", "both"] | None, typer.Option(help="Of the devices it is for; else that of this home.")
]
WholeOption = Annotated[bool, typer.Option("--whole", help="With the trunk, all precisions and the training state.")]


@release.command("list")
def list_releases(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List the releases of the home, and what became of them."""
    from edgecl.home import Home
    from edgecl.records import of_release
    from edgecl.releases.listing import releases_of

    found = releases_of(Home.at(home).folder)
    rows = [
        (
            f"{one.entry.number}{' *' if one.active else ''}",
            one.entry.state,
            moment(one.created_at),
            share(one.document.accuracy_after if one.document else None),
            one.document.recipe if one.document else "export",
            one.entry.reason,
        )
        for one in found
    ]
    titles = ("release", "state", "made", "accuracy", "recipe", "why")
    Terminal(as_json).answers([of_release(one) for one in found], columns(titles, rows, right=(3,)))


@release.command()
def show(number: NumberArgument, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Show one release: its document, its state, its acceptance report."""
    from edgecl.home import Home
    from edgecl.records import of_release
    from edgecl.releases.listing import release_of, report_of

    place = Home.at(home)
    found = release_of(place.folder, number)
    report = report_of(place.folder, number)
    document = found.document.model_dump(mode="json") if found.document else None
    record = of_release(found) | {"document": document, "report": report}
    Terminal(as_json).answer(record, _shown(found) + (f"\n\n{report.strip()}" if report else ""))


@release.command()
def verify(
    source: SourceArgument, unsigned: UnsignedOption = False, home: HomeOption = None, as_json: JsonOption = False
) -> None:
    """Check a release from end to end, and change nothing."""
    from edgecl.home import Home
    from edgecl.releases.installing import ground_of, lies_here, source_of
    from edgecl.releases.verification import verify as check

    place = Home.at(home)
    terminal = Terminal(as_json)
    with terminal.progress("verifying"):
        release_source = source_of(place.folder, source)
        ground = ground_of(place.folder, place.settings, above=not lies_here(place.folder, release_source))
        found = check(release_source, ground, unsigned)
    signer = found.signer
    record: dict[str, Any] = {
        "number": found.document.number,
        "signed_by": None if signer is None else signer.id,
        "bytes": sum(len(data) for data in found.files.values()),
        "precision": found.golden.precision,
        "golden_cosine_min": found.golden.cosine_min,
    }
    by = "signed by nobody" if signer is None else f"signed by {signer.comment or signer.id}"
    terminal.answer(
        record,
        f"release {found.document.number} may run here: {by}, {size(record['bytes'])}, "
        f"{found.golden.pictures} golden pictures answered with a cosine of at least {found.golden.cosine_min:.4f}",
    )


@release.command()
def install(
    source: SourceArgument, unsigned: UnsignedOption = False, home: HomeOption = None, as_json: JsonOption = False
) -> None:
    """Verify a release, learn the memory anew with it, compare, and switch to it, in trial."""
    from edgecl.hands import daemon_of
    from edgecl.home import Home
    from edgecl.records import of_switched
    from edgecl.releases.installing import install as bring_in
    from edgecl.releases.installing import receive, source_of

    place = Home.at(home)
    terminal = Terminal(as_json)
    daemon = daemon_of(place)
    with terminal.progress("verifying") as step, contextlib.ExitStack() as held:
        learner = held.enter_context(place.learner()) if daemon is None else None
        found = receive(place.folder, source_of(place.folder, source), place.settings, unsigned)
        number = found.document.number
        if learner is not None:
            switched = bring_in(learner, number, found.files, lambda what, done, of: step(done, what, of or None))
        elif daemon is not None:
            step(None, "the daemon changes over")
            switched = daemon.install(number)
    terminal.answer(of_switched(switched), _switched(switched))


@release.command()
def rollback(
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why, for whoever looks later.")] = "asked for",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Go back to the release before, with its own head.

    A process that answers frames follows within half a minute.
    """
    from edgecl.errors import StoreBusy
    from edgecl.hands import daemon_of
    from edgecl.home import Home
    from edgecl.records import of_release
    from edgecl.releases import slots, transitions
    from edgecl.releases.listing import release_of

    place = Home.at(home)
    terminal = Terminal(as_json)
    gone = slots.read_journal(place.folder).active
    daemon = daemon_of(place)
    if daemon is not None:
        active = daemon.roll_back(reason)
    else:
        active = transitions.roll_back(place.folder, reason, gone).active
        try:
            with terminal.progress("learning what was taught meanwhile"), place.learner():
                pass  # embeds and learns what the tail of the release before has not seen
        except StoreBusy:
            terminal.note("edgecl: another process writes to this home; it will take up the release before by itself")
    text = f"release {gone} is rolled back, release {active} runs"
    terminal.answer(of_release(release_of(place.folder, gone)) | {"active_now": active}, text)


@release.command()
def push(
    number: NumberArgument,
    target: Annotated[
        str, typer.Argument(metavar="TARGET", help="Another home, a folder or file to write, or http(s)://HOST.")
    ],
    precision: PrecisionOption = None,
    whole: WholeOption = False,
    token_file: Annotated[
        Path | None, typer.Option("--token-file", metavar="FILE", help="For HTTP; else $EDGECL_TOKEN.")
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send a release: to a home, where it is verified and installed; to a folder, as one file; to a device, by HTTP."""
    from edgecl.home import Home
    from edgecl.records import of_switched
    from edgecl.releases import pushing
    from edgecl.releases.listing import release_of
    from edgecl.remote import Device, is_address, token_from

    place, terminal = Home.at(home), Terminal(as_json)
    release_of(place.folder, number)
    devices = None if precision == "both" else precision or place.settings.backbone.settled_precision
    if is_address(target):
        sent = pushing.post(place.folder, number, Device.at(target, token_from(token_file)), devices, whole)
        record: dict[str, Any] = {"target": sent.url, "bytes": sent.bytes, "status": sent.status, "answer": sent.answer}
        terminal.answer(record, f"sent release {number} ({size(sent.bytes)}) to {sent.url}: {sent.answer}")
    elif pushing.is_home(Path(target)):
        with terminal.progress("installing"):
            switched = _push_home(place, Home.at(Path(target)), number)
        record = {"target": target} | of_switched(switched)
        terminal.answer(record, f"{target}: {_switched(switched)}")
    else:
        from edgecl.releases.bundle import pack
        from edgecl.releases.slots import release_folder

        made = pack(release_folder(place.folder, number), Path(target), devices, whole)
        record = {"target": str(made.path), "bytes": made.bytes, "files": list(made.files)}
        terminal.answer(record, f"wrote {made.path} ({size(made.bytes)}): {', '.join(made.files)}")
        if "release.sig" not in made.files:
            terminal.note(f"it is not signed, so others will refuse it; sign it first: edgecl release sign {number}")


@release.command()
def keygen(
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="New file for the private key.")] = None,
    comment: Annotated[str, typer.Option(metavar="TEXT", help="Whose it is, for whoever trusts it.")] = "",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key pair and print its public line, which devices are told to trust; a home trusts its own."""
    from edgecl.home import Home
    from edgecl.releases.signing import KEY_FILE, generate
    from edgecl.releases.signing import trust as add

    place = Home.at(home).folder
    path = file or place / KEY_FILE
    key = generate(path, comment)
    if file is None:
        add(place, key)
    terminal = Terminal(as_json)
    record = {"id": key.id, "public": key.line, "private_key_file": str(path), "trusted_here": file is None}
    terminal.answer(record, key.line)
    terminal.note(f"the private key is in {path}; whoever has it can change what your devices run")


@release.command()
def sign(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="Number of a release in this home, or its folder.")],
    key: KeyOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Sign a release."""
    from edgecl.home import Home
    from edgecl.releases.making import sign_release
    from edgecl.releases.signing import KEY_FILE, public_key
    from edgecl.releases.slots import release_folder

    place = Home.at(home)
    path = key or place.folder / KEY_FILE
    signer = public_key(path)
    folder = release_folder(place.folder, int(source)) if source.isdecimal() else Path(source)
    document = sign_release(folder, path)
    record = {"number": document.number, "signed_by": signer.id}
    Terminal(as_json).answer(record, f"signed release {document.number} with key {signer.id}")


@release.command()
def trust(
    line: Annotated[str, typer.Argument(metavar="LINE_OR_FILE", help="Public line of a key, or a file with it.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let this home take releases that are signed with a key."""
    from edgecl.errors import InputRefused
    from edgecl.home import Home
    from edgecl.releases.signing import PublicKey
    from edgecl.releases.signing import trust as add

    text = line
    if not line.startswith("ed25519 "):
        try:
            text = Path(line).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputRefused(
                f"could not read a public key from {line:.80}: {error}; expected a file, or a line in quotes"
            ) from error
    key = PublicKey.from_line(text)
    keys = add(Home.at(home).folder, key)
    record = {"id": key.id, "comment": key.comment, "trusted": [one.id for one in keys]}
    Terminal(as_json).answer(record, f"trusts key {key.id} {key.comment}".rstrip())


def _push_home(place: Any, other: Any, number: int) -> Switched:
    """Through the same door as a release from elsewhere: packed, then verified by the other home's own trust."""
    from edgecl.hands import daemon_of
    from edgecl.releases.bundle import Bundle, Folder, packed
    from edgecl.releases.installing import install as bring_in
    from edgecl.releases.installing import receive
    from edgecl.releases.slots import read_document, release_folder

    folder = release_folder(place.folder, number)
    document = read_document(folder)
    if document is None:
        from edgecl.errors import ReleaseError

        raise ReleaseError(f"found release {number} without a document, expected one made by a consolidation")
    data = packed(Folder(folder), document, other.settings.backbone.settled_precision, whole=False)
    daemon = daemon_of(other)
    if daemon is not None:
        return daemon.install(daemon.bring(data))
    with other.learner() as learner:
        found = receive(other.folder, Bundle(data, f"release {number} of {place.folder}"), other.settings)
        return bring_in(learner, number, found.files)


def _shown(found: Listed) -> str:
    entry, document = found.entry, found.document
    lines = [("release", f"{entry.number}{', which runs' if found.active else ''}"), ("state", entry.state)]
    lines += [("since", moment(entry.since)), ("why", entry.reason)]
    if found.trial is not None:
        lines.append(("trial", f"{found.trial.frames} frames in {found.trial.seconds / 60:.1f} minutes so far"))
    if document is None:
        lines.append(("made", "exported here, or with the wheel"))
    else:
        counts = f"over {document.classes} classes and {document.views} held-out views"
        lines += [
            ("made", f"{moment(document.created_at)} from release {document.parent or '–'}"),
            ("recipe", f"{document.recipe}, seed {document.seed}"),
            ("accuracy", f"{share(document.accuracy_before)} → {share(document.accuracy_after)} {counts}"),
        ]
    lines += [("signed by", found.key or "nobody"), ("size", size(found.bytes))]
    return "\n".join(f"{name:<10} {what}" for name, what in lines)


def _switched(done: Switched) -> str:
    return (
        f"release {done.number} runs, in trial; held-out examples of this device recognised: "
        f"{share(done.accuracy_before)} → {share(done.accuracy_after)}; {done.embedded} examples embedded in "
        f"{done.seconds:.1f} s, switched in {done.switch_ms:.0f} ms"
    )
