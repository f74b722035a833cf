"""A3: a policy applied, without gradients, against kornia operation by operation; and its share of a training step."""

from collections.abc import Callable

import torch
from mmpretrain.models import ResNet
from torch import Tensor

from benchmarks.harness import Report, Settings, check_equal, race, ratio
from benchmarks.warps import RANGES, is_installed, kornia_warp, pixel_matrices
from mmdas.models import DASClsDataPreprocessor
from mmdas.ops.clip import other_frames, repeat_image, time_major_to_clip
from mmdas.search.das import Policy, PolicyClip, get_operation
from mmdas.search.das.topology import evaluate

TITLE = 'a policy applied, no gradient'
METRICS = (
    'speedup_over_kornia',
    'speedup_over_kornia_batches',
    'speedup_over_kornia_same_result',
    'speedup_over_sampled',
    'preprocessor_share',
)
FRAMES = 8
SIZES = ((224, 8), (512, 2), (224, 1), (512, 1))  # (side, batch)
SEEDS = (0, 1, 2)


def run(settings: Settings) -> Report:
    """Time all sizes with several random policies, and the preprocessor beside a training step."""
    policies = [Policy.random(FRAMES, ranges=RANGES, seed=seed) for seed in SEEDS[: 2 if settings.quick else None]]
    names = ['sampled', 'edges', *(['kornia, paths', 'kornia'] if is_installed('kornia') else [])]
    report, rows, speedups = Report(), [], []
    for side, batch in SIZES:
        for policy in policies:
            milliseconds, found = race_policy(policy, side, batch, names, settings)
            speedups.append({'batch': batch, **found})
            rows.append((f'{side} B{batch}', policy.seed, *sizes_of(policy), *milliseconds, *found.values()))
    columns = ('size', 'seed', 'edges', 'paths', 'mmdas', *names, *(f'x {name}' for name in names))
    report.table(
        f'milliseconds, median (min), of random policies, T = {FRAMES}; "sampled" and "kornia, paths" sample every '
        'composed path, "edges" and "kornia" one edge after the other',
        columns,
        rows,
    )
    report.metric('speedup_over_sampled', min(row['sampled'] for row in speedups))
    if 'kornia' in names:
        report.metric('speedup_over_kornia', min(row['kornia'] for row in speedups))
        report.metric('speedup_over_kornia_batches', min(row['kornia'] for row in speedups if row['batch'] > 1))
        report.metric('speedup_over_kornia_same_result', min(row['kornia, paths'] for row in speedups))
    share_of_training(policies, report, settings)
    return report


class SampledPolicy(PolicyClip):
    """The plain form: every path is sampled, nothing is kept for the next batch."""

    def _operator(self, images: Tensor) -> None:
        return None


def race_policy(
    policy: Policy, side: int, batch: int, names: list[str], settings: Settings
) -> tuple[list[str], dict[str, float]]:
    """Milliseconds and speed-ups of one policy at one size."""
    images = torch.rand(batch, 3, side, side, device=settings.device)
    clip = PolicyClip(policy).to(settings.device)  # in training mode: its crops have one size
    forms = {
        'mmdas': clip,
        'sampled': SampledPolicy(policy).to(settings.device),
        'kornia, paths': paths_by_kornia(clip, (side, side)),
        'kornia': chain_by_kornia(clip, (side, side)),
        'edges': clip._one_after_the_other,
    }
    with torch.no_grad():
        steps = {name: lambda form=forms[name]: form(images) for name in ('mmdas', *names)}
        # Composed paths are sampled once, edge after edge is sampled as often as there are edges: two results.
        for group in (('mmdas', 'sampled', 'kornia, paths'), ('edges', 'kornia')):
            check_equal({name: steps[name]() for name in group if name in steps}, rtol=0, atol=2e-3)
        timings = race(steps, rounds=4 if settings.quick else 12, device=settings.device)
    milliseconds = [timings[name].milliseconds for name in steps]
    return milliseconds, {name: ratio(timings[name], timings['mmdas']) for name in names}


def sizes_of(policy: Policy) -> tuple[int, int]:
    """Edges that the clip depends on and that are not the identity, and paths."""
    clip = PolicyClip(policy)
    return sum(not operation.is_identity for operation in clip.operations), len(clip.paths)


def paths_by_kornia(clip: PolicyClip, size: tuple[int, int]) -> Callable[[Tensor], Tensor]:
    """One call of ``warp_affine`` per composed path, for all frames and images; the matrices are made once."""
    warps = [
        (None if theta is None else pixel_matrices(theta, size).float(), weight) for theta, weight in clip.warps(size)
    ]
    middle = clip.transform.reference

    def apply(images: Tensor) -> Tensor:
        frames = images.unsqueeze(0).expand(FRAMES - 1, *images.shape)
        total = torch.zeros_like(frames)
        for matrices, weight in warps:
            warped = frames
            if matrices is not None:
                per_image = matrices.to(images.device).repeat_interleave(len(images), dim=0)
                warped = kornia_warp(frames.flatten(0, 1), per_image).view_as(frames)
            total = total + weight * warped
        return time_major_to_clip(torch.cat([total[:middle], images.unsqueeze(0), total[middle:]]))

    return apply


def chain_by_kornia(clip: PolicyClip, size: tuple[int, int]) -> Callable[[Tensor], Tensor]:
    """Edge after edge, one call of ``warp_affine`` for all frames and images; the matrices are made once.

    Its result is that of the policy's own edges: all frames but the reference frame, (T - 1, B, C, H, W).
    """
    transform, matrices = clip.transform, {}
    for position, edge in enumerate(clip.edges):
        operation = get_operation(edge.operation)
        if not operation.is_identity:
            theta = transform.matrices(operation, edge.strength, size)
            matrices[position] = pixel_matrices(theta, size).float()

    def apply(images: Tensor) -> Tensor:
        others = [t for t in range(FRAMES) if t != transform.reference]

        def edge_output(position: int, frames: Tensor) -> Tensor:
            if position not in matrices:
                return frames
            per_image = matrices[position].to(images.device).repeat_interleave(len(images), dim=0)
            warped = kornia_warp(frames[others].flatten(0, 1), per_image).view(len(others), *images.shape)
            before, after = warped.split([transform.reference, len(others) - transform.reference])
            return torch.cat([before, frames[transform.reference :][:1], after])

        frames = images.unsqueeze(0).expand(FRAMES, *images.shape)
        policy = clip.policy
        return other_frames(evaluate(frames, clip.pairs, edge_output, policy.num_nodes, policy.node_reduction))

    return apply


def share_of_training(policies: list[Policy], report: Report, settings: Settings) -> None:
    """Add the preprocessor's time as a part of a ResNet-50's forward and backward pass over the clips."""
    batch = 1 if settings.device.type == 'cpu' else 16
    backbone = ResNet(50).to(settings.device)  # its train() returns nothing; a new module trains
    inputs = torch.randint(256, (batch, 3, 224, 224), dtype=torch.uint8)
    frames = repeat_image(torch.randn(batch, 3, 224, 224, device=settings.device), FRAMES)
    frames = frames.view(batch * FRAMES, 3, 224, 224)

    def step() -> None:
        backbone.zero_grad()
        backbone(frames)[-1].square().mean().backward()

    data = dict(inputs=list(inputs.unbind()), data_samples=None)
    rows = []
    for policy in policies:
        preprocessor = DASClsDataPreprocessor(
            mean=[123.7, 116.3, 103.5], std=[58.4, 57.1, 57.4], num_frames=FRAMES, policy=policy.to_dict()
        )
        preprocessor = preprocessor.to(settings.device).train()
        both = dict(preprocessor=lambda p=preprocessor: p(data, training=True), step=step)
        timings = race(both, rounds=2 if settings.quick else 5, device=settings.device)
        share = ratio(timings['preprocessor'], timings['step'])
        rows.append((policy.seed, *(timing.milliseconds for timing in timings.values()), 100 * share))
    columns = ('seed', 'preprocessor', 'R50 step', '% of the step')
    report.table(f'milliseconds, median (min), backbone alone, at 224x224, batch {batch}, T = {FRAMES}', columns, rows)
    report.metric('preprocessor_share', max(row[-1] for row in rows) / 100)
