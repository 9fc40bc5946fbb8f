"""Training the tail: balanced, seeded, taken up again, stopped in time, and only by what it is told to learn from."""

from __future__ import annotations

import copy
import itertools
import math
import resource
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import safetensors  # noqa: E402
import safetensors.torch  # noqa: E402
from test_material import material  # noqa: E402
from torch import nn  # noqa: E402

from edgecl.errors import ConsolidationRefused, StoreUnwritable  # noqa: E402
from edgecl.workstation import checkpoint  # noqa: E402
from edgecl.workstation.nets import Block, Tail  # noqa: E402
from edgecl.workstation.penalties import penalty_of  # noqa: E402
from edgecl.workstation.recipes import RECIPES, of_penalty, recipe_of  # noqa: E402
from edgecl.workstation.renormalisation import BatchRenorm  # noqa: E402
from edgecl.workstation.training import Plan, Training, new_head  # noqa: E402

PLAN = Plan(epochs=3, rate=0.01, batch=8)


def small_tail(seed: int = 0) -> Tail:
    """6 channels in, one block, 1280 out."""
    torch.manual_seed(seed)
    return Tail([Block(6, 6, 2, 3, 1)], 6).eval()


def training(plan: Plan = PLAN, penalty: str | None = "ewc", seed: int = 0, like_cwr: bool = False) -> Training:
    found = material({0: [1] * 12, 3: [2] * 12, 4: [3] * 6}, groups=3)
    held = np.arange(len(found)) % 4 == 0
    tail = small_tail(seed)
    head = new_head(1280, 3, bias=not like_cwr)
    price = penalty and penalty_of(penalty)(dict(tail.named_parameters()), 0.01)
    return Training(tail, head, found, held, price or None, plan)


def weights(one: Training) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in one.state()[0].items() if name != "noise"}


def same(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> bool:
    return ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in ours)


def carried_out(one: Training) -> Training:
    one.begin()
    for _ in one.epochs():
        pass
    return one


def test_it_learns():
    one = carried_out(training(replace(PLAN, epochs=12, rate=0.02), None))
    assert one.done[-1].held_out_loss < 0.2 < math.log(3)  # which is that of a guess


def test_a_seed_gives_the_same_weights_again_and_another_seed_others():
    first, second = weights(carried_out(training())), weights(carried_out(training()))
    assert same(first, second)
    assert not same(first, weights(carried_out(training(replace(PLAN, seed=1)))))


@pytest.mark.parametrize("penalty", ["ewc", "si", "mas", "l2sp", None])
@pytest.mark.parametrize("stopped_after", [1, 2])
@pytest.mark.parametrize("changes", [{}, {"batch_renorm": True}, {"noise": 0.1}], ids=str)
def test_a_training_that_was_cut_off_ends_as_if_it_had_not_been(tmp_path, penalty, stopped_after, changes):
    plan = replace(PLAN, **changes)
    whole = carried_out(training(plan, penalty))
    cut = training(plan, penalty)
    cut.begin()
    for _ in itertools.islice(cut.epochs(), stopped_after):
        checkpoint.keep(cut, tmp_path, "this one")
    again = training(plan, penalty, seed=7)
    checkpoint.take_up(again, tmp_path, "this one")
    for _ in again.epochs():
        pass
    assert same(weights(whole), weights(again))
    assert [epoch.loss for epoch in whole.done] == [epoch.loss for epoch in again.done]


def test_a_checkpoint_of_another_training_is_refused(tmp_path):
    checkpoint.keep(training(), tmp_path, "another")
    with pytest.raises(ConsolidationRefused, match="another memory, release or recipe"):
        checkpoint.take_up(training(), tmp_path, "this one")


def test_going_on_with_nothing_is_refused(tmp_path):
    with pytest.raises(ConsolidationRefused, match="expected a training that was cut off"):
        checkpoint.take_up(training(), tmp_path, "this one")


def test_a_timer_goes_on_with_what_is_its_own_and_begins_otherwise(tmp_path):
    cut = training()
    cut.begin()
    next(cut.epochs())
    checkpoint.keep(cut, tmp_path, "this one")
    again, another = training(seed=7), training(seed=7)
    checkpoint.take_up_if_any(again, tmp_path, "this one")
    checkpoint.take_up_if_any(another, tmp_path, "another")
    assert [len(again.done), len(another.done)] == [1, 0]
    assert float(another.head.weight.detach().abs().max()) > 0.0, "its head was fitted to the features"


@pytest.mark.parametrize("spoil", [lambda data: data[:1000], lambda data: b"\xff" * 40, lambda data: b""])
def test_a_damaged_checkpoint_is_refused(tmp_path, spoil):
    checkpoint.keep(training(), tmp_path, "this one")
    path = tmp_path / checkpoint.FILE
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(ConsolidationRefused, match="leave out --resume"):
        checkpoint.take_up(training(), tmp_path, "this one")


@pytest.mark.parametrize("name", ["tail.conv.0.weight", "head.weight", "penalty.importance.conv.0.weight", "noise"])
def test_a_checkpoint_with_one_number_changed_is_refused_before_any_of_it_is_taken_in(tmp_path, name):
    cut = training()
    cut.begin()
    next(cut.epochs())
    checkpoint.keep(cut, tmp_path, "this one")
    path = tmp_path / checkpoint.FILE
    with safetensors.safe_open(path, framework="pt") as file:
        about, tensors = file.metadata(), {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    tensors[name].view(-1)[0] = 7
    path.write_bytes(safetensors.torch.save(tensors, about))
    again = training(seed=7)
    before = weights(again)
    with pytest.raises(ConsolidationRefused, match="not what was written"):
        checkpoint.take_up(again, tmp_path, "this one")
    assert same(before, weights(again))
    assert again.done == []


def test_a_full_disk_leaves_the_earlier_checkpoint(tmp_path):
    checkpoint.keep(training(), tmp_path, "this one")
    before = (tmp_path / checkpoint.FILE).read_bytes()
    free, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, most))
    try:
        with pytest.raises(StoreUnwritable):
            checkpoint.keep(training(seed=1), tmp_path, "this one")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (free, most))
    assert (tmp_path / checkpoint.FILE).read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [checkpoint.FILE]


def test_every_class_comes_as_often_as_any_other():
    one = training()
    rows = np.concatenate(list(one._balanced(60, 8)))
    counts = np.bincount(one.material.rows[rows])
    assert counts.max() - counts.min() <= 3
    assert not one.held[rows].any()


def test_no_example_comes_again_before_all_of_its_class_have_come():
    one = training()
    rows = np.concatenate(list(one._balanced(9, 8)))
    mine = rows[one.material.rows[rows] == 0]
    size = int((~one.held & (one.material.rows == 0)).sum())
    for start in range(0, len(mine) - size, size):
        assert len(set(mine[start : start + size])) == size


def test_statistics_of_batch_normalisation_stay_as_they_are():
    one = training()
    before = {n: v.clone() for n, v in one.tail.named_buffers()}
    carried_out(one)
    assert all(torch.equal(value, before[name]) for name, value in one.tail.named_buffers())


def test_with_renormalisation_they_follow_slowly_and_leave_no_trace_of_it():
    one = training(replace(PLAN, batch_renorm=True))
    names = list(one.tail.state_dict())
    before = {n: v.clone() for n, v in one.tail.named_buffers() if "running" in n}
    carried_out(one)
    after = {n: v for n, v in one.tail.named_buffers() if "running" in n}
    assert list(one.tail.state_dict()) == names
    assert all(not torch.equal(before[n], after[n]) for n in before)
    assert max(float((before[n] - after[n]).abs().max()) for n in before) < 0.1


def test_only_a_step_moves_them_not_what_is_asked_of_the_network():
    one = carried_out(training(replace(PLAN, batch_renorm=True)))
    before = {n: v.clone() for n, v in one.tail.named_buffers()}
    one.held_out_loss()
    one.end()
    one.sample_loss(32)
    assert all(torch.equal(value, before[name]) for name, value in one.tail.named_buffers())


def test_renormalisation_within_its_bounds_is_normalisation_by_the_running_statistics():
    """r and d correct the batch's statistics to the running ones exactly, as long as neither is clipped."""
    norm = nn.BatchNorm2d(4, eps=1e-3).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        norm.running_mean.copy_(0.1 * torch.randn(4, generator=generator))
        norm.weight.copy_(1 + 0.2 * torch.randn(4, generator=generator))
    x = torch.randn(64, 4, 3, 3, generator=generator)
    expected = norm(x)
    assert torch.allclose(BatchRenorm(copy.deepcopy(norm))(x), expected, atol=1e-5)


def test_a_loss_that_is_not_finite_ends_the_training_with_its_numbers():
    one = training()
    one.begin()
    epochs = one.epochs()
    next(epochs)
    with torch.no_grad():
        one.tail.conv[1].bias[3] = math.nan
    with pytest.raises(ConsolidationRefused, match=r"not finite in epoch 2 \(cross-entropy nan.*diverged"):
        next(epochs)


def test_a_held_out_loss_that_is_not_finite_ends_the_training():
    one = training(replace(PLAN, epochs=1))
    one.begin()
    step = one._step

    def last(rows):
        found = step(rows)
        with torch.no_grad():
            one.tail.conv[1].bias[3] = math.nan
        return found

    one._step = last
    one._fit = one._fit[: PLAN.batch]  # one step an epoch: no other finds it
    with pytest.raises(ConsolidationRefused, match=r"not finite in epoch 1 \(held-out cross-entropy nan"):
        next(one.epochs())


def test_the_head_is_warmed_up_by_classes_of_equal_weight():
    one = training()
    one.material.class_ids[:] = np.where(np.arange(len(one.material)) < 26, 0, np.where(np.arange(30) < 28, 3, 4))
    chosen = np.concatenate(list(one._balanced(50, 2 * PLAN.batch)))
    counts = np.bincount(one.material.rows[chosen])
    assert counts.max() - counts.min() <= 3


def test_training_ends_three_epochs_after_what_is_held_out_was_answered_best():
    one = training(replace(PLAN, epochs=10))
    first = next(one.epochs())
    losses = (1.0, 0.8, 0.9, 0.85, 0.8)
    one.done[:] = [replace(first, number=n + 1, held_out_loss=loss) for n, loss in enumerate(losses)]
    assert list(one.epochs()) == []
    one.done[-1] = replace(one.done[-1], held_out_loss=0.79)
    assert next(one.epochs()).number == 6


def test_time_that_is_up_ends_the_training():
    one = training(replace(PLAN, epochs=1000, minutes=0.01))
    carried_out(one)
    assert 1 <= len(one.done) < 1000
    assert sum(epoch.seconds for epoch in one.done) < 10


def test_a_training_whose_time_is_up_already_is_done():
    one = carried_out(training(replace(PLAN, epochs=1000, minutes=0.01)))
    before = weights(one)
    assert list(one.epochs()) == []
    assert same(before, weights(one))
    assert all(math.isfinite(epoch.loss) for epoch in one.done)


def test_the_rate_rises_then_falls_to_nothing():
    one, rates = training(), []
    for progress in np.linspace(0, 1, 101):
        one._set_rate(progress)
        rates.append(one._optimizer.param_groups[0]["lr"])
    assert int(np.argmax(rates)) == 10
    assert max(rates) == pytest.approx(PLAN.rate)
    assert rates[0] < 0.02 * PLAN.rate
    assert rates[-1] < 1e-3 * PLAN.rate


def test_without_an_earlier_task_the_first_epoch_is_free_and_shows_what_matters():
    one = training(penalty="si")
    one.begin()
    epochs = one.epochs()
    assert next(epochs).penalty == 0.0
    assert one.penalty.guards
    assert next(epochs).penalty > 0.0


def test_a_penalty_too_strong_for_the_rate_is_refused():
    one = training(replace(PLAN, rate=0.9), "l2sp")
    one.penalty.strength = 2.0
    with pytest.raises(ConsolidationRefused, match=r"found strength 2 at learning rate 0\.9"):
        next(one.epochs())


def test_a_head_of_cwr_has_no_bias_and_learns():
    one = training(like_cwr=True)
    assert [name for name, _ in one.head.named_parameters()] == ["weight"]
    assert float(one.head.weight.detach().abs().max()) == 0.0
    carried_out(one)
    assert one.done[-1].held_out_loss < math.log(3)


@pytest.mark.parametrize("part", ["tail", "head"])
def test_a_long_gradient_is_shortened_in_the_tail_and_in_the_head_by_itself(part):
    clip = 0.01
    one = training(replace(PLAN, clip=clip, momentum=0.0), penalty=None)
    one.begin()
    one._set_rate(0.1)
    before = [param.detach().clone() for param in getattr(one, part).parameters()]
    one._step(next(one._balanced(1, 8)))
    moved = [param.detach() - start for param, start in zip(getattr(one, part).parameters(), before, strict=True)]
    length = float(torch.cat([move.flatten() for move in moved]).norm())
    assert length == pytest.approx(PLAN.rate * clip, rel=1e-3)


def test_the_penalty_on_the_tail_does_not_shorten_the_heads_step():
    weights_of_head = []
    for strength in (0.0, 50.0):
        one = training(replace(PLAN, clip=0.01), penalty="l2sp")
        one.begin()
        with torch.no_grad():
            for param in one.tail.parameters():
                param.add_(0.01)  # away from the anchor, so that the penalty pulls
        one.penalty.strength = strength
        one._set_rate(0.1)
        one._step(next(one._balanced(1, 8)))
        weights_of_head.append(one.head.weight.detach().clone())
    assert torch.equal(*weights_of_head)


def test_every_recipe_names_a_penalty_that_exists():
    tail = dict(small_tail().named_parameters())
    for recipe in RECIPES.values():
        price = recipe.penalty_on(tail)
        assert (price is None) == (recipe.penalty is None)
        assert price is None or set(price.params) == set(tail)


def test_recipes_and_penalties_by_name():
    assert recipe_of("ar1").penalty == "si"
    assert recipe_of("ar1-star").mode == "scale"
    assert of_penalty("mas", 0.5) == replace(RECIPES["mas"], strength=0.5, first_strength=0.5)
    assert recipe_of().penalty is not None
    with pytest.raises(ConsolidationRefused, match="ar1-star"):
        recipe_of("ar2")
    with pytest.raises(ConsolidationRefused, match="which has no penalty"):
        recipe_of("naive", 0.1)
    with pytest.raises(ConsolidationRefused, match="found penalty 'ar1'"):
        of_penalty("ar1")
