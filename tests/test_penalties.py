"""Penalties: what they cost, what they measure, and that nothing outside their scope feels them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from edgecl.errors import ConsolidationRefused  # noqa: E402
from edgecl.workstation import penalties  # noqa: E402
from edgecl.workstation.audit import audit  # noqa: E402
from edgecl.workstation.penalties import ewc, l2sp, mas, si  # noqa: E402
from edgecl.workstation.quadratic import CLIPPED  # noqa: E402

for_every_penalty = pytest.mark.parametrize("name", penalties.names())


def small_net(seed: int = 0) -> nn.Sequential:
    """Two layers: 5 numbers → 4 → 3 classes."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3))


def examples(n: int = 12, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 5, generator=generator), torch.randint(0, 3, (n,), generator=generator)


def one_by_one(net: nn.Module, x: torch.Tensor, y: torch.Tensor) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    for k in range(len(x)):
        yield net(x[k : k + 1]), y[k : k + 1]


def guarded(net: nn.Sequential) -> dict[str, nn.Parameter]:
    """The first layer alone."""
    return dict(net[0].named_parameters())


def trained(name: str, mode: str = "penalty", strength: float = 0.1, steps: int = 8):
    """A net that learned one task under the penalty `name`, and has begun a second: (net, penalty, examples)."""
    net, (x, y) = small_net(), examples()
    penalty = penalties.penalty_of(name)(guarded(net), strength, mode)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    for task in range(2):
        for _ in range(steps):
            optimizer.zero_grad()
            (F.cross_entropy(net(x), y) + penalty.loss()).backward()
            penalty.after_backward()
            optimizer.step()
            penalty.after_step()
        if task == 0:
            penalty.end(one_by_one(net, x, y))
            y = (y + 1) % 3
    return net, penalty, (x, y)


# Scope


@for_every_penalty
def test_guarding_the_first_layer_changes_its_gradient_and_not_a_bit_of_the_seconds(name):
    net, penalty, (x, y) = trained(name)
    net.zero_grad()
    F.cross_entropy(net(x), y).backward()
    alone = {n: p.grad.clone() for n, p in net.named_parameters()}
    net.zero_grad()
    (F.cross_entropy(net(x), y) + penalty.loss()).backward()
    for n, p in net.named_parameters():
        assert torch.equal(p.grad, alone[n]) == n.startswith("2."), n


@for_every_penalty
def test_the_real_head_feels_cross_entropy_alone_and_every_layer_of_the_real_tail_the_penalty_too(name):
    from edgecl.workstation.nets import efficientnet_lite

    tail, head = efficientnet_lite("efficientnet-lite0").tail, nn.Linear(1280, 3)
    generator = torch.Generator().manual_seed(0)
    latents, labels = torch.randn(6, 192, 7, 7, generator=generator), torch.tensor([0, 1, 2, 0, 1, 2])
    penalty = penalties.penalty_of(name)(dict(tail.named_parameters()), 0.1)
    optimizer = torch.optim.SGD([*tail.parameters(), *head.parameters()], lr=0.01)

    def loss():
        return F.cross_entropy(head(tail.features(latents)), labels)

    for step in range(4):
        optimizer.zero_grad()
        (loss() + penalty.loss()).backward()
        optimizer.step()
        penalty.after_step()
        if step == 1 and name != "l2sp":
            penalty.end((head(tail.features(latents[k : k + 1])), labels[k : k + 1]) for k in range(6))
    found = audit(loss(), penalty, tail, head)
    assert [layer.layer for layer in found if layer.layer.startswith("head")] == ["head"]
    assert len(found) == 27
    for layer in found:
        assert layer.cross_entropy > 0
        assert (layer.penalty == 0.0) == (layer.layer == "head"), layer


def test_the_scope_may_be_any_part_of_any_module():
    net, (x, y) = small_net(), examples()
    only = {"bias": net[2].bias}
    penalty = l2sp.Penalty(only, 3.0)
    with torch.no_grad():
        net[2].bias += 2.0
    (F.cross_entropy(net(x), y) * 0 + penalty.loss()).backward()
    assert torch.allclose(net[2].bias.grad, torch.full((3,), 6.0))
    assert float(net[2].weight.grad.abs().max()) == 0.0


# What they have in common


@for_every_penalty
def test_nothing_costs_anything_where_the_anchor_is(name):
    net, penalty, (x, y) = trained(name)
    penalty.end(one_by_one(net, x, y))
    assert penalty.guards
    assert float(penalty.loss().detach()) == 0.0


@for_every_penalty
def test_a_price_is_half_its_strength_times_importance_times_the_square_of_the_way(name):
    _, penalty, _ = trained(name, strength=0.3)
    state = penalty.state()
    by_hand = 0.0
    total = np.concatenate([state[f"importance.{n}"].numpy().ravel() for n in penalty.params])
    limit = np.sort(total)[math.ceil(CLIPPED * len(total)) - 1]
    scale = np.minimum(total, limit).mean()
    for n, param in penalty.params.items():
        importance = np.minimum(state[f"importance.{n}"].numpy(), limit) / scale
        by_hand += (importance * (param.detach().numpy() - state[f"anchor.{n}"].numpy()) ** 2).sum()
    assert float(penalty.loss().detach()) == pytest.approx(0.15 * by_hand, rel=1e-4)


@for_every_penalty
def test_the_gradient_in_closed_form_is_that_of_autograd(name):
    _, penalty, _ = trained(name)
    found = torch.autograd.grad(penalty.loss(), list(penalty.params.values()))
    for n, gradient in zip(penalty.params, found, strict=True):
        assert torch.allclose(penalty.gradient(n, penalty.params[n].detach()), gradient, atol=1e-7), n


@for_every_penalty
def test_importances_are_numbers_from_zero_with_mean_one(name):
    _, penalty, _ = trained(name)
    every = torch.cat([i.flatten() for i in penalty._importance.values()])
    assert torch.isfinite(every).all()
    assert float(every.min()) >= 0.0
    assert float(every.mean()) == pytest.approx(1.0, rel=1e-4)
    assert penalty.max_importance == pytest.approx(float(every.max()))


@for_every_penalty
def test_a_state_that_is_loaded_goes_on_as_the_one_that_was_kept(name):
    net, penalty, (x, y) = trained(name)
    again = penalties.penalty_of(name)(guarded(net), 0.1)
    again.load(penalty.state())
    assert float(again.loss().detach()) == float(penalty.loss().detach())
    penalty.end(one_by_one(net, x, y))
    again.end(one_by_one(net, x, y))
    ours, theirs = penalty.state(), again.state()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


@for_every_penalty
def test_importances_alone_guard_from_where_the_parameters_are(name):
    net, penalty, _ = trained(name)
    kept = {k: v for k, v in penalty.state().items() if k.startswith("importance.")}
    again = penalties.penalty_of(name)(guarded(net), 0.1)
    again.load(kept)
    assert again.guards
    assert float(again.loss().detach()) == 0.0


@for_every_penalty
@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda state: state.pop("importance.bias"), "importance bias"),
        (lambda state: state.update({"importance.bias": torch.ones(7)}), "of shape"),
        (lambda state: state.update({"importance.other": torch.ones(1)}), "another network"),
        (lambda state: state.update({"importance.bias": torch.full((4,), math.nan)}), "not finite"),
        (lambda state: state.update({"importance.bias": torch.full((4,), -1.0)}), "below 0"),
        (lambda state: state.update({"anchor.bias": torch.full((4,), math.inf)}), "not finite"),
    ],
)
def test_a_state_of_something_else_is_refused_and_changes_nothing(name, spoil, reason):
    _, penalty, _ = trained(name)
    state, before = penalty.state(), float(penalty.loss().detach())
    spoil(state)
    with pytest.raises(ConsolidationRefused, match=reason):
        penalty.load(state)
    assert float(penalty.loss().detach()) == before


@for_every_penalty
def test_a_strength_that_would_overshoot_is_refused(name):
    _, penalty, _ = trained(name, strength=0.5)
    edge = 1.0 / (0.5 * penalty.max_importance)
    penalty.check_step(0.99 * edge)
    with pytest.raises(ConsolidationRefused, match=r"1/\(η max F\)"):
        penalty.check_step(1.01 * edge)


@for_every_penalty
@pytest.mark.parametrize(("strength", "mode"), [(-1.0, "penalty"), (math.nan, "penalty"), (1.5, "scale")])
def test_a_strength_out_of_range_is_refused(name, strength, mode):
    with pytest.raises(ConsolidationRefused, match="found strength"):
        penalties.penalty_of(name)(guarded(small_net()), strength, mode)


@for_every_penalty
def test_an_empty_scope_is_refused(name):
    with pytest.raises(ConsolidationRefused, match="no parameters"):
        penalties.penalty_of(name)({}, 1.0)


def test_an_unknown_penalty_is_refused_with_those_there_are():
    with pytest.raises(ConsolidationRefused, match="ewc, l2sp, mas, si"):
        penalties.penalty_of("elastic")


# Mode 'scale'


@for_every_penalty
def test_scaling_stops_what_matters_most_and_adds_nothing_to_the_loss(name):
    net, penalty, (x, y) = trained(name, "scale", 1.0)
    assert float(penalty.loss()) == 0.0
    net.zero_grad()
    F.cross_entropy(net(x), y).backward()
    before = {n: p.grad.clone() for n, p in penalty.params.items()}
    head = net[2].weight.grad.clone()
    penalty.after_backward()
    for n, param in penalty.params.items():
        share = penalty._importance[n] / penalty.max_importance
        assert torch.allclose(param.grad, before[n] * (1 - share))
    assert torch.equal(net[2].weight.grad, head)


# What each measures


def test_ewc_squares_each_examples_own_gradient():
    """Of a linear softmax, ∂ log p(y|x)/∂W = (e_y − p) xᵀ."""
    layer, (x, y) = nn.Linear(5, 3, bias=False), examples()
    penalty = ewc.Penalty({"weight": layer.weight}, 1.0)
    penalty.end(one_by_one(layer, x, y))
    wrong = F.one_hot(y, 3) - layer(x).softmax(dim=1)
    by_hand = torch.einsum("nk,nd->nkd", wrong, x).square().mean(dim=0)
    assert torch.allclose(penalty.state()["importance.weight"], by_hand, atol=1e-6)


@pytest.mark.parametrize("batch", [1, 5, 12])
def test_ewc_does_not_depend_on_how_examples_are_batched(batch):
    layer, (x, y) = nn.Linear(5, 3), examples()
    penalty, expected = (ewc.Penalty(dict(layer.named_parameters()), 1.0) for _ in range(2))
    penalty.end((layer(part), labels) for part, labels in zip(x.split(batch), y.split(batch), strict=True))
    expected.end(one_by_one(layer, x, y))
    assert torch.allclose(penalty.state()["importance.weight"], expected.state()["importance.weight"], atol=1e-6)


def test_the_true_fisher_draws_labels_from_the_network_and_ignores_those_given():
    """For two classes with p and 1 − p the expectation of a squared gradient is p (1 − p) x²."""
    torch.manual_seed(0)
    layer = nn.Linear(1, 2, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0], [0.0]]))
    penalty = ewc.Penalty({"weight": layer.weight}, 1.0, fisher="true")
    x, y = torch.full((4000, 1), 0.7), torch.zeros(4000, dtype=torch.int64)
    penalty.end((layer(part), labels) for part, labels in zip(x.split(500), y.split(500), strict=True))
    p = 1 / (1 + math.exp(-0.7))
    assert penalty.state()["importance.weight"].numpy() == pytest.approx(p * (1 - p) * 0.49, rel=0.05)


def test_mas_is_the_mean_size_of_the_outputs_gradient():
    """Of f(x) = W x, ∂‖f‖²/∂W = 2 f xᵀ."""
    layer, (x, y) = nn.Linear(5, 3, bias=False), examples()
    penalty = mas.Penalty({"weight": layer.weight}, 1.0)
    penalty.end(one_by_one(layer, x, y))
    by_hand = (2 * torch.einsum("nk,nd->nkd", layer(x), x)).abs().mean(dim=0)
    assert torch.allclose(penalty.state()["importance.weight"], by_hand, atol=1e-5)


@pytest.mark.parametrize("module", [ewc, mas])
def test_what_asks_the_network_has_to_be_shown_something(module):
    with pytest.raises(ConsolidationRefused, match="no example"):
        module.Penalty(guarded(small_net()), 1.0).end()


def test_si_is_the_loss_that_each_parameter_took_away_over_its_way_squared():
    """L = Σ a θ²/2 by plain gradient descent: ω = Σ_t η (a θ_t)², and θ after n steps is (1 − η a)ⁿ θ₀."""
    curvature, start, rate, steps = np.array([1.0, 0.5, 0.1]), np.array([1.0, -2.0, 3.0]), 0.1, 7
    theta = nn.Parameter(torch.tensor(start))
    penalty = si.Penalty({"theta": theta}, 1.0)
    optimizer = torch.optim.SGD([theta], lr=rate)
    for _ in range(steps):
        optimizer.zero_grad()
        (torch.tensor(curvature) * theta.square() / 2).sum().backward()
        optimizer.step()
        penalty.after_step()
    penalty.end()
    at = start * (1 - rate * curvature) ** np.arange(steps)[:, None]
    omega = (rate * (curvature * at) ** 2).sum(axis=0)
    moved = start * (1 - rate * curvature) ** steps - start
    assert penalty.state()["importance.theta"].numpy() == pytest.approx(omega / (moved**2 + si.DAMPING), rel=1e-5)


@pytest.mark.parametrize("mode", ["penalty", "scale"])
@pytest.mark.parametrize("clip", [None, 1e-3])
def test_si_credits_the_tasks_gradient_alone_also_where_it_is_clipped(mode, clip):
    net, penalty, (x, y) = trained("si", mode, 0.5)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    path = {n: v.clone() for n, v in penalty._path.items()}
    for _ in range(5):
        task = torch.autograd.grad(F.cross_entropy(net(x), y), list(penalty.params.values()))
        before = {n: p.detach().clone() for n, p in penalty.params.items()}
        optimizer.zero_grad()
        (F.cross_entropy(net(x), y) + penalty.loss()).backward()
        penalty.after_backward()
        if clip is not None:
            nn.utils.clip_grad_norm_(net.parameters(), clip)
        optimizer.step()
        penalty.after_step()
        for (n, param), gradient in zip(penalty.params.items(), task, strict=True):
            path[n] -= gradient * (param.detach() - before[n])
    for n in path:
        assert torch.allclose(penalty._path[n], path[n], atol=1e-6), n


def test_where_nothing_is_clipped_si_needs_no_call_after_backward():
    paths = []
    for called in (True, False):
        net, penalty, (x, y) = trained("si", "penalty", 0.5)
        net.zero_grad()
        (F.cross_entropy(net(x), y) + penalty.loss()).backward()
        if called:
            penalty.after_backward()
        torch.optim.SGD(net.parameters(), lr=0.05).step()
        penalty.after_step()
        paths.append(torch.cat([path.flatten() for path in penalty._path.values()]))
    assert torch.equal(*paths)
    assert float(paths[0].abs().max()) > 0.0


def test_what_only_made_the_loss_worse_does_not_matter_and_is_never_pushed():
    theta = nn.Parameter(torch.tensor([1.0, 1.0]))
    penalty = si.Penalty({"theta": theta}, 1.0)
    theta.grad = torch.tensor([1.0, 1.0])
    with torch.no_grad():
        theta += torch.tensor([-0.5, 0.5])  # the first goes down the slope, the second up
    penalty.after_step()
    penalty.end()
    assert penalty.state()["importance.theta"][1] == 0.0
    assert penalty.state()["importance.theta"][0] > 0.0


def test_l2sp_guards_from_the_first_step_and_everything_alike():
    net = small_net()
    penalty = l2sp.Penalty(guarded(net), 0.4)
    with torch.no_grad():
        net[0].weight += 0.5
    penalty.loss().backward()
    assert torch.allclose(net[0].weight.grad, torch.full_like(net[0].weight, 0.2))
    assert float(net[0].bias.grad.abs().max()) == 0.0


@pytest.mark.parametrize("module", [ewc, mas, si])
def test_importances_of_tasks_add_up(module):
    net, (x, y) = small_net(), examples()
    penalty = module.Penalty(guarded(net), 0.0)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    totals = []
    for _ in range(2):
        for _ in range(3):
            optimizer.zero_grad()
            F.cross_entropy(net(x), y).backward()
            optimizer.step()
            penalty.after_step()
        penalty.end(one_by_one(net, x, y))
        totals.append(penalty.state()["importance.weight"].clone())
    alone = module.Penalty(guarded(net), 0.0)
    if module is not si:  # whose path cannot be walked twice
        alone.end(one_by_one(net, x, y))
        assert torch.allclose(totals[1] - totals[0], alone.state()["importance.weight"], atol=1e-6)
    assert bool((totals[1] >= totals[0]).all())


def test_where_nothing_moved_nothing_matters_and_nothing_has_a_price():
    net = small_net()
    penalty = si.Penalty(guarded(net), 1.0)
    penalty.end()
    assert not penalty.guards
    with torch.no_grad():
        net[0].weight += 1.0
    assert float(penalty.loss()) == 0.0


def test_importances_that_are_not_finite_are_refused():
    theta = nn.Parameter(torch.tensor([1.0]))
    penalty = si.Penalty({"theta": theta}, 1.0)
    theta.grad = torch.tensor([math.nan])
    penalty.after_step()
    with pytest.raises(ConsolidationRefused, match="not finite"):
        penalty.end()


def test_the_page_about_penalties_runs_as_it_stands_there(capsys):
    page = (Path(__file__).parents[1] / "docs" / "howto" / "penalty.md").read_text("utf-8")
    torch.manual_seed(0)
    model = nn.Sequential()
    model.add_module("body", nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Tanh()))
    model.add_module("head", nn.Linear(4, 3))
    x, y = examples()
    names = {
        "model": model,
        "tasks": [[(x, y)] * 3, [(x, (y + 1) % 3)] * 3],
        "optimizer": torch.optim.SGD(model.parameters(), lr=0.1),
        "cross_entropy": F.cross_entropy,
        "examples": list(zip(x, y, strict=True)),
        "images": x,
        "labels": y,
    }
    for block in re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        exec(block, names)
    printed = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[0] for line in printed] == ["tail.0", "tail.1", "head"]
    assert printed[-1][2] == "0.0"
    assert all(float(of_tail[2]) > 0.0 for of_tail in printed[:-1])


def test_what_is_not_trained_cannot_be_guarded():
    net = small_net()
    net[0].bias.requires_grad_(False)
    with pytest.raises(ConsolidationRefused, match="'bias' to guard, which takes no gradient"):
        l2sp.Penalty(guarded(net), 1.0)
