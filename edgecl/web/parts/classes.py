"""What is known: classes and their examples; renamed, merged, corrected, forgotten."""

from __future__ import annotations

from fastapi import APIRouter, Response
from pydantic import BaseModel

from edgecl.records import ExampleRecord, LessonRecord, ProofRecord, of_example, of_lesson, of_proof
from edgecl.web import words
from edgecl.web.asking import Running, ask
from edgecl.web.bodies import JPEG
from edgecl.web.parts.lessons import Label

router = APIRouter(prefix="/api/v1", tags=["classes"])

NOT_KEPT = {"cache-control": "no-store"}  # a number can mean another picture, and what is forgotten has to be gone


class Named(BaseModel):
    """The name of a class."""

    label: Label


@router.get("/classes")
async def classes(daemon: Running) -> list[words.CoveredClassRecord]:
    """Every class, with its examples counted and how well it is known."""
    return words.of_classes(daemon.state)


@router.patch("/classes/{label}")
async def rename(label: str, new: Named, daemon: Running) -> LessonRecord:
    """Give a class another name."""
    return of_lesson(await ask(daemon, lambda desk: desk.shelf.rename(label, new.label)))


@router.post("/classes/{label}/merge")
async def merge(label: str, into: Named, daemon: Running) -> LessonRecord:
    """Let a class count as another."""
    return of_lesson(await ask(daemon, lambda desk: desk.shelf.merge(label, into.label)))


@router.delete("/classes/{label}")
async def forget(label: str, daemon: Running) -> ProofRecord:
    """Delete a class for good; the answer is the proof."""
    return of_proof(await ask(daemon, lambda desk: desk.forget(label)))


@router.get("/examples")
async def examples(label: str, daemon: Running) -> list[ExampleRecord]:
    """What is kept of a class."""
    return [of_example(one, label) for one in await ask(daemon, lambda desk: desk.shelf.examples(label))]


@router.get("/examples/{number}.jpg", response_class=Response, responses=JPEG)
async def picture(number: int, daemon: Running) -> Response:
    """An example's picture, small."""
    jpeg = await ask(daemon, lambda desk: desk.shelf.example_picture(number))
    return Response(jpeg, media_type="image/jpeg", headers=NOT_KEPT)


@router.delete("/examples/{number}")
async def drop(number: int, daemon: Running) -> LessonRecord:
    """Take an example out of the memory; it can be undone."""
    return of_lesson(await ask(daemon, lambda desk: desk.shelf.drop(number)))


@router.post("/examples/{number}/correct")
async def correct(number: int, to: Named, daemon: Running) -> LessonRecord:
    """Count an example as another class."""
    return of_lesson(await ask(daemon, lambda desk: desk.shelf.correct(number, to.label)))
