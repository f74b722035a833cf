"""An augmentation policy as a picture."""

from typing import TYPE_CHECKING

from mmdas.search.augmentation import AugmentPolicy

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def operation_shares(policy: AugmentPolicy) -> dict[str, float]:
    """Share of each operation among those that a policy draws, in the order of the policy; they add up to 1."""
    shares: dict[str, float] = {}
    total = sum(sub.weight for sub in policy.sub_policies)
    for sub in policy.sub_policies:
        draws = sum(stage.repeat for stage in sub.stages)
        for stage in sub.stages:
            weights = sum(choice.weight for choice in stage.choices)
            for choice in stage.choices:
                part = sub.weight / total * stage.repeat / draws * choice.weight / weights
                shares[choice.operation] = shares.get(choice.operation, 0.0) + part
    return shares


def draw_augmentation(policy: AugmentPolicy) -> 'Figure':
    """Draw the shares of the operations, and along the training where the policy has a trajectory.

    Args:
        policy: to draw.
    """
    from matplotlib.figure import Figure  # not before a picture is drawn

    points = max(len(policy.trajectory), 1)
    course = [policy.at(point / points) for point in range(points)]
    shares = [operation_shares(stage) for stage in course]
    names = sorted(shares[-1], key=shares[-1].get, reverse=True)  # type: ignore[arg-type]
    figure = Figure(figsize=(11 if points > 1 else 6, 1.4 + 0.24 * len(names)), layout='constrained')
    axes = figure.subplots(1, 2 if points > 1 else 1, squeeze=False)[0]
    axes[0].barh(names[::-1], [shares[-1][name] for name in names[::-1]], color='tab:blue')
    axes[0].axvline(1 / len(names), color='grey', linestyle=':', label='all alike')
    axes[0].legend(loc='lower right')
    probability = course[-1].probability
    axes[0].set(title=f'operations at the end; {probability:.0%} of the images are augmented', xlabel='share')
    if points > 1:
        places = [(point + 0.5) / points for point in range(points)]
        for name in names[:8]:
            axes[1].plot(places, [stage[name] for stage in shares], label=name)
        axes[1].plot(places, [stage.probability for stage in course], 'k--', label='images augmented')
        axes[1].set(title='along the training', xlabel='part of the training', ylim=(0, None))
        axes[1].legend(fontsize=7)
    return figure
