"""The words of ``--augment``, and the steps on batches that they stand for."""

from difflib import get_close_matches
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmdas.augment.named_policies import CUTOUT, NAMED, fixed_policy
from mmdas.search.augmentation import AugmentPolicy
from mmdas.search.policy_file import DEFAULT_KIND, PolicyError, kind_of, read_json
from mmdas.search.test_time.policy import KIND as VIEWS

from .augment_search import ignored_label
from .clip_config import last_size, pair, pipeline_of
from .config_files import host_of
from .das_options import ConversionError
from .das_settings import preprocessor_of
from .soft_labels import check_unmixed, take_soft_labels

LOW = {'saliency': 'low'}  # at half the resolution, for a quarter of the work
# Steps -> their configs.
STEPS: dict[str, dict[str, Any]] = {
    'cutout': {'type': 'mmdas.PolicyAugment'},
    'hide-and-seek': {'type': 'mmdas.HideAndSeek'},
    'cutmix': {'type': 'mmdas.CutMix'},
    'mixup': {'type': 'mmdas.Mixup'},
    'puzzle-mix': {'type': 'mmdas.PuzzleMix'},
    'keep-cutout': {'type': 'mmdas.KeepCutout', **LOW},
    'keep-erasing': {
        'type': 'mmdas.KeepCutout',
        'size': (0.14, 0.57),
        'aspect': (0.3, 3.3),
        'fill': 'random',
        'probability': 0.5,
        **LOW,
    },
    'keep-cutmix': {'type': 'mmdas.KeepCutMix', **LOW},
}
MIXING = ('cutmix', 'mixup', 'puzzle-mix', 'keep-cutmix')  # labels of classes, too
KEEP = 'keep-'
WORDS = (*NAMED, *STEPS, *(KEEP + name for name in NAMED))


def steps_of(cfg: Config, words: list[Any]) -> list[dict[str, Any]]:
    """Configs of the augments that words and policies stand for, in their order.

    Args:
        cfg: of the training; its head is changed where it has to learn from mixed labels.
        words: of :data:`WORDS`; files of policies, also after ``keep-``; or contents of policies.

    Raises:
        ConversionError: if one does not go with the config, or two do not go together.
        PolicyError: if a file is no augmentation policy.
        FileNotFoundError: if there is neither such a file nor such a word.
    """
    mixing = [word for word in words if word in MIXING]
    if len(mixing) > 1:
        raise ConversionError(f'{" and ".join(mixing)} mix what is mixed already; leave one of them')
    twice = [word for place, word in enumerate(words) if word in words[:place]]
    if twice:
        raise ConversionError(f'{twice[0]} is named twice; leave one out')
    steps = [step_of(cfg, word) for word in words]
    if mixing and not host_of(cfg).label_maps:
        check_unmixed(cfg)
        take_soft_labels(cfg)
    return steps


def step_of(cfg: Config, word: Any) -> dict[str, Any]:
    """Config of the augment that a word or policy stands for.

    Raises:
        as :func:`steps_of`.
    """
    maps = host_of(cfg).label_maps
    if word == 'cutout':
        return {**STEPS[word], 'policy': CUTOUT.to_dict(), **ignored_label(cfg)}
    if word == 'cutmix' and maps:
        return {'type': 'mmdas.SegCutMix'}
    if word == 'mixup' and maps:
        raise ConversionError(
            'mixup gives a pixel two labels, which losses of segmentation do not take; take cutmix or puzzle-mix, '
            'whose labels move with the pixels'
        )
    if isinstance(word, str) and word in STEPS:
        return dict(STEPS[word])
    keeps = isinstance(word, str) and word.startswith(KEEP)
    if keeps and word.removeprefix(KEEP) in STEPS:
        raise ConversionError(
            f'{word}: keep- goes before a policy, such as {KEEP}randaugment, and {word.removeprefix(KEEP)} is none; '
            f'there are {", ".join(step for step in STEPS if step.startswith(KEEP))}'
        )
    kind = 'mmdas.KeepPaste' if keeps else 'mmdas.PolicyAugment'
    return {
        'type': kind,
        'policy': policy_content(cfg, word.removeprefix(KEEP) if keeps else word),
        **ignored_label(cfg),
    }


def policy_content(cfg: Config, policy: Any) -> Any:
    """A policy as an augment takes it: its content, or its file.

    Raises:
        FileNotFoundError: if there is neither such a file nor such a name.
        PolicyError: if it is no augmentation policy.
    """
    content: Any = policy if isinstance(policy, dict) else str(policy)
    if isinstance(content, str) and not Path(content).is_file():
        fixed = fixed_policy(content, training_size(cfg))
        if fixed is None:
            raise FileNotFoundError(
                f'an augmentation is the file of a policy, or one of {", ".join(WORDS)}; {what_is_there(content)}'
            )
        content = fixed.to_dict()
    if isinstance(content, dict):
        AugmentPolicy.from_dict(content)
    else:
        check_kind(content)
        AugmentPolicy.load(content)
    return content


def check_kind(path: str) -> None:
    """Check that a file is no policy of frames, or of views at test time.

    Raises:
        PolicyError: naming the option that takes it.
    """
    data = read_json(path)
    kind = kind_of(data)
    if isinstance(data, dict) and (kind == VIEWS or (kind == DEFAULT_KIND and 'edges' in data)):
        what = 'views, which mmdas test and predict take by --policy' if kind == VIEWS else 'frames, which --das takes'
        raise PolicyError(
            f'{path} is a policy of {what}; --augment takes one of an augmentation, as a search by '
            'mmdas search --method ddas writes it, or a word'
        )


def what_is_there(path: str) -> str:
    """The part of a message that says what a path is that is no file, with the word that was meant."""
    inside = Path(path, 'policy.json')
    if Path(path).is_dir():
        return f'{path} is a folder' + (f'; give {inside}' if inside.is_file() else ' without a policy.json')
    close = get_close_matches(path, WORDS, n=1)
    return f'there is no file {path}' + (f'; did you mean {close[0]}?' if close else '')


def training_size(cfg: Config) -> tuple[int, int] | None:
    """Shorter and longer side of the images of a training; None where the config does not tell."""
    return pair(preprocessor_of(cfg).get('size')) or last_size(pipeline_of(cfg.get('train_dataloader')))
