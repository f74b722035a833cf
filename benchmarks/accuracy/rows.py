"""The rows of the tables: which clip, which fusion, how many frames, how often."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

SEEDS = (0, 1, 2)
# of the rows whose difference is the result
MORE_SEEDS = tuple(range(6))


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Args:
        name: key of the row.
        title: for the page.
        frames: T; 1 is the plain model.
        fusion: word of ``tools/misc/add_das.py``.
        clip: ``'repeat'``, ``'search'``, ``'random'``, or the name of an operation that makes the clip alone.
        cell: options of the searched cell, or of the random policy, beside those of all rows.
        selection, selection_options: type of the selection, and options of it.
        logits: options of the logits' optimiser in the search.
        fast: the search is that of ``mmdas search --fast``.
        steps: settings of the search's loop and rate that replace the task's, in place of ``fast``.
        step: type of the search's step. Default: that of DAS.
        warmups: steps of the weights alone before those of the policy, in units of the task's.
        seeds: of the training, and of the search or the random policy before it.
        budget: iterations in units of the task's.
        plain_before: iterations of the plain model, in the same units, with whose averaged weights the row starts; they
            are not in ``budget``, but in the curve and its seconds.
        warped: the training images of a classification are rotated or moved at random.
        pooling: of the predictions of the frames, in training, test and search.
        options: settings that replace the host's, with dotted keys.
        augment: how the batches of the training are augmented: a word of ``augmentations.py``. Default: not.
        words: of ``mmdas train --augment``, after ``augment``.
        regularize: words of ``mmdas train --regularize``.
        teacher: name of the row whose model the row learns from. Default: none.
        teachers: so many trainings of that row with other seeds, the mean of whose logits the row learns from.
        views: of the teacher in the training.
        teacher_budget: iterations of a teacher in units of the row's.
        online: the row learns from the average of its own weights.
        cached: the teacher sees each image once, as a test sees it.
        losses: words of ``mmdas distill`` for the distances from the teacher.
        temperature: of these. Default: those of the losses.
        any_frames: trained with fewer frames at random; measured with 1, 2, ... T frames.
        part_after: where frames part in the backbone in the training, behind a policy that was searched on clips of
            images. Default: clips of images.
        self_distil: and the fewer frames learn from all.
        labelled_by: name of the row whose model labels the training images that the others leave out, for this one.
        confidence: least probability of such a label.
        geometry: a row on the geometry of clips: tested by windows and as before, too, but not with views.
    """

    name: str
    title: str
    frames: int = 4
    fusion: str = 'gsf'
    clip: str = 'repeat'
    cell: Mapping[str, Any] = field(default_factory=dict)
    selection: str = 'PerturbationSelection'
    selection_options: Mapping[str, Any] = field(default_factory=dict)
    logits: Mapping[str, Any] = field(default_factory=dict)
    fast: bool = False
    steps: Mapping[str, float] = field(default_factory=dict)
    step: str = ''
    warmups: float = 1
    seeds: tuple[int, ...] = SEEDS
    budget: float = 1
    plain_before: float = 0
    warped: bool = False
    pooling: str = 'mean'
    options: Mapping[str, Any] = field(default_factory=dict)
    augment: str = ''
    words: tuple[str, ...] = ()
    regularize: tuple[str, ...] = ()
    teacher: str = ''
    teachers: int = 1
    views: int = 1
    teacher_budget: float = 1
    online: bool = False
    cached: bool = False
    losses: str = 'kl'
    temperature: float | None = None
    any_frames: bool = False
    part_after: str | None = None
    self_distil: bool = False
    labelled_by: str = ''
    confidence: float = 0.0
    geometry: bool = False

    @property
    def search_key(self) -> str:
        """Name of the search that the row needs; rows with the same clip share it."""
        options = {**self.cell, **self.selection_options, **self.logits}
        if self.pooling != 'mean':
            options['pooling'] = self.pooling
        if self.warmups != 1:
            options['warmups'] = self.warmups
        if self.fast:
            options['fast'] = True
        if self.step:
            options['step'] = self.step
        options.update(self.steps)
        cell = '-'.join(f'{key}={value}' for key, value in sorted(options.items()))
        return '_'.join(filter(None, [f'{self.frames}f', cell, self.selection.removesuffix('Selection').lower()]))


def table() -> Iterator[Row]:
    """The rows of a task, those that matter most first."""
    searched = Row('das-4f-gsf', 'searched policy, GSF', clip='search')
    yield Row('plain', 'plain', frames=1, budget=4, seeds=MORE_SEEDS)
    yield Row('repeat-4f-gsf', 'repeat, GSF', budget=3)
    yield Row('repeat-4f-tsm', 'repeat, TSM', fusion='tsm', budget=3)
    yield replace(searched, budget=1.5)
    title = 'searched policy, GSF, no decay of the logits, trials renormalised'
    renormalized = replace(searched, selection_options={'renormalize': True}, logits=UNDECAYED)
    yield replace(renormalized, name='das-4f-gsf-renormalized', title=title)
    argmax = replace(searched, name='argmax-4f-gsf', title='searched, argmax, GSF', selection='ArgmaxSelection')
    yield argmax
    title = 'searched policy, GSF, no decay of the logits'
    yield replace(searched, name='das-4f-gsf-undecayed', title=title, logits=UNDECAYED)
    default = replace(argmax, logits=UNDECAYED)
    yield replace(
        default,
        name='any-4f-tsm',
        title='searched, argmax, TSM, trained with 1, 2 or 4 frames at random',
        fusion='tsm',
        any_frames=True,
        budget=3,
    )
    yield replace(
        default,
        name='any-4f-tsm-self',
        title='searched, argmax, TSM, 1 or 2 frames learn from 4',
        fusion='tsm',
        any_frames=True,
        self_distil=True,
        budget=3,
    )
    for frames, fusion in (*product((4,), ('gsf', 'none', 'tsm', 'gsm')), *product((2, 8), ('gsf', 'none'))):
        row = replace(default, name=f'argmax-{frames}f-{fusion}-undecayed', frames=frames, fusion=fusion)
        title = f'searched, argmax, {FUSION_TITLES[fusion]}, no decay of the logits'
        matters = frames == 4 and fusion in ('gsf', 'tsm')
        yield replace(row, title=title, seeds=MORE_SEEDS if matters else SEEDS, budget=3 if matters else 1)
    title = 'searched fast, argmax, TSM, no decay of the logits'
    fast = replace(default, name='fast-4f-tsm', title=title, fusion='tsm', fast=True)
    yield fast
    for word, title, steps in LEVERS:
        title = f'searched, argmax, TSM: {title}'
        yield replace(fast, name=f'fast-{word}-4f-tsm', title=title, fast=False, steps=steps)
    tsm = replace(default, fusion='tsm', budget=3)
    title = 'searched with one step of the weights ahead, argmax, TSM, no decay of the logits'
    yield replace(tsm, name='look-ahead-4f-tsm', title=title, step='LookAheadStep')
    title = 'searched with flips, argmax, TSM, no decay of the logits'
    yield replace(tsm, name='flips-4f-tsm', title=title, cell={'space': 'flips'})
    title = 'searched, argmax, mirrored ramp, GSF, no decay of the logits'
    yield replace(default, name='argmax-mirrored-4f-gsf-undecayed', title=title, cell={'ramp': 'mirrored'})
    title = 'searched, argmax, GSF, no decay of the logits, four strengths an operation'
    strengths = replace(default, name='strengths-4f-gsf', title=title, cell={'num_strengths': 4})
    yield strengths
    title = 'searched with one drawn operation an edge, argmax, GSF, four strengths an operation'
    cell = {**strengths.cell, 'relaxation': 'gumbel'}
    yield replace(strengths, name='gumbel-strengths-4f-gsf', title=title, cell=cell)
    title = 'searched after a long warm-up, argmax, GSF, no decay of the logits'
    yield replace(default, name='late-4f-gsf-undecayed', title=title, warmups=20)
    for fusion in ('gsf', 'none', 'tsm'):
        name, title = f'finetuned-4f-{fusion}', f'plain, then searched, argmax, {FUSION_TITLES[fusion]}'
        yield replace(default, name=name, title=title, fusion=fusion, plain_before=1, budget=0.5)
    title = 'plain, then repeat, GSF'
    yield Row('finetuned-repeat-4f-gsf', title, plain_before=1, budget=0.5)
    for fusion in ('gsf', 'none'):
        title = f'searched policy, {FUSION_TITLES[fusion]}, reference frame predicts'
        yield replace(searched, name=f'das-4f-{fusion}-reference', title=title, fusion=fusion, **REFERENCE)
    for fusion in ('gsf', 'tsm'):
        title = f'random policies, {FUSION_TITLES[fusion]}'
        yield Row(f'random-4f-{fusion}', title, fusion=fusion, clip='random', seeds=tuple(range(10)))
    yield Row('plain-warped', 'plain, training images warped at random', frames=1, budget=4, warped=True)
    yield replace(searched, name='das-4f-gsf-warped', title='searched policy, GSF, warped images', warped=True)
    yield replace(searched, name='chain-4f-gsf', title='searched chain of single warps, GSF', selection_options=CHAIN)
    yield Row('scale-4f-gsf', 'scale by 6 % a step, GSF', clip='scale', cell={'strength': 0.06})
    for fusion in ('none', 'tsm', 'gsm'):
        title = f'searched policy, {FUSION_TITLES[fusion]}'
        yield replace(searched, name=f'das-4f-{fusion}', title=title, fusion=fusion)
    yield Row('rotate-4f-gsf', 'rotation by 5 degrees a step, GSF', clip='rotate', cell={'strength': 5.0})
    yield replace(searched, name='das-2f-gsf', frames=2)
    yield replace(searched, name='das-8f-gsf', frames=8)
    yield replace(searched, name='mirrored-4f-gsf', title='searched, mirrored ramp, GSF', cell={'ramp': 'mirrored'})
    yield replace(searched, name='large-4f-gsf', title='searched in the large space, GSF', cell={'space': 'large'})
    drawn = 'searched, strengths drawn for every edge, GSF'
    yield replace(searched, name='drawn-4f-gsf', title=drawn, cell={'share_strength': False})
    learned = 'searched, learned strengths, GSF'
    yield replace(searched, name='learned-4f-gsf', title=learned, cell={'strength': 'learned'})


# What makes a search of 600 iterations cheaper, one by one: word of the row's name, title, settings of the search.
LEVERS: tuple[tuple[str, str, Mapping[str, float]], ...] = (
    ('third', 'a third of all steps, three times the rate', dict(max_iters=200, warmup_iters=67, lr=0.03)),
    (
        'settled',
        'warm-up on the image and then the clip, every second step of the policy, six times the rate',
        dict(max_iters=430, warmup_iters=330, image_iters=300, policy_interval=2, lr=0.06),
    ),
    (
        'cold',
        'warm-up on the image, every second step of the policy, eight times the rate',
        dict(max_iters=400, warmup_iters=300, image_iters=300, policy_interval=2, lr=0.08),
    ),
)
REFERENCE = {'pooling': 'reference'}
# One incoming edge a node: every frame is a single warp of the image instead of a mean of several.
CHAIN = {'edges_per_node': 1}
# DARTS's decay of 1e-3 holds the logits close to zero.
UNDECAYED = {'weight_decay': 0.0, 'lr': 1e-2}
FUSION_TITLES = {'none': 'no fusion', 'tsm': 'TSM', 'gsm': 'GSM', 'gsf': 'GSF', 'aligned-tsm': 'aligned TSM'}
SEGMENTATION = (
    'plain',
    'repeat-4f-gsf',
    'repeat-4f-tsm',
    'das-4f-gsf',
    'das-4f-none',
    'das-4f-gsf-reference',
    'das-4f-none-reference',
    'das-4f-gsf-undecayed',
    'argmax-4f-gsf-undecayed',
    'argmax-4f-none-undecayed',
    'argmax-4f-tsm-undecayed',
    'fast-4f-tsm',
    'das-4f-gsf-renormalized',
    'strengths-4f-gsf',
    'gumbel-strengths-4f-gsf',
    'late-4f-gsf-undecayed',
    'finetuned-4f-gsf',
    'finetuned-repeat-4f-gsf',
    'random-4f-gsf',
)


# The receptive field of the narrow network grows from 55 to 87 pixels, the parameters stay.
DILATED = Row(
    'plain-dilated',
    'plain, dilated: 87 x 87 pixels',
    frames=1,
    budget=4,
    options={'model.backbone.dilations': (4,)},
)


# Operations by hand: word of the row's name, operation, strength a step, title.
BY_HAND = (
    ('shift', 'translate_x', 0.05, 'shift by 5 % of the width a step'),
    ('scale', 'scale', 0.06, 'scale by 6 % a step'),
    ('turn', 'rotate', 5.0, 'rotation by 5 degrees a step'),
)


def geometry_table() -> Iterator[Row]:
    """Rows of a segmentation whose test has the clips of the training, with the mean of the frames or aligned ones."""
    yield Row('geometry-plain', 'plain', frames=1, geometry=True)
    for fusion, pooling in product(('tsm', 'gsf', 'none'), ('mean', 'aligned')):
        base = Row('', '', fusion=fusion, pooling=pooling, geometry=True)
        chain = replace(base, clip='search', selection='ArgmaxSelection', logits=UNDECAYED)
        rows = {'chain': replace(chain, title='searched chain, argmax', selection_options=CHAIN)}
        if pooling == 'mean':
            rows = {'search': replace(chain, title='searched, argmax'), **rows}
        if fusion == 'tsm':
            rows |= {
                word: replace(base, title=title, clip=operation, cell={'strength': strength})
                for word, operation, strength, title in BY_HAND
            }
        for word, row in rows.items():
            title = f'{row.title}, {FUSION_TITLES[fusion]}, {pooling}'
            yield replace(row, name=f'geometry-{word}-4f-{fusion}-{pooling}', title=title)


def aligned_fusion_table(geometry: bool = False) -> Iterator[Row]:
    """Frames of single warps, with features that are shifted as they are and with aligned ones.

    Args:
        geometry: whether the rows are tested by windows too, and not with views.
    """
    base = Row('', '', selection='ArgmaxSelection', selection_options=CHAIN, logits=UNDECAYED, geometry=geometry)
    clips = {'chain': replace(base, title='searched chain, argmax', clip='search')}
    for word, operation, strength, title in BY_HAND:
        clips[word] = replace(base, title=title, clip=operation, cell={'strength': strength})
    for (word, row), fusion in product(clips.items(), ('tsm', 'aligned-tsm')):
        title = f'{row.title}, {FUSION_TITLES[fusion]}'
        yield replace(row, name=f'aligned-fusion-{word}-4f-{fusion}', title=title, fusion=fusion)


# Crops of CamVid's training whose 1.5, 2 and 3 times a test image of 96 x 128 is.
SMALL_CROPS = {1.5: (64, 85), 2: (48, 64), 3: (32, 43)}


def sizes_table() -> Iterator[Row]:
    """Rows that are trained on small crops and tested on whole images, and by windows of the crops' size."""
    for ratio, crop in SMALL_CROPS.items():
        options = {'model.data_preprocessor.size': crop, 'train_dataloader.dataset.pipeline.3.crop_size': crop}
        base = Row('', '', fusion='tsm', geometry=True, budget=0.5, options=options)
        yield replace(base, name=f'sizes-{ratio}-plain', title=f'plain, {ratio} times the crop', frames=1)
        for word, operation, strength, title in (*BY_HAND, ('shear', 'shear_x', 0.08, 'shear by 8 % a step')):
            row = replace(base, clip=operation, cell={'strength': strength})
            yield replace(row, name=f'sizes-{ratio}-{word}-4f-tsm', title=f'{title}, TSM, {ratio} times the crop')


def segmentation_table(*more: str) -> Iterator[Row]:
    """The rows of a segmentation, and those of the names ``more``."""
    for row in table():
        if row.name in (*SEGMENTATION, *more):
            yield replace(row, plain_before=3) if row.plain_before else row  # plain gains for longer


def narrow_table() -> Iterator[Row]:
    """The rows of the network with a narrow receptive field."""
    yield from segmentation_table('scale-4f-gsf')
    yield DILATED
    for operation, strength, what in (
        ('scale', 0.06, 'scale by 6 % a step'),
        ('translate_x', 0.1, 'shift by 10 % a step'),
    ):
        title = f'{what}, GSF, reference frame predicts'
        yield Row(f'{operation}-4f-gsf-reference', title, clip=operation, cell={'strength': strength}, **REFERENCE)


def distant_table() -> Iterator[Row]:
    """The rows of the scenes that need more context than the network sees."""
    yield from segmentation_table('das-4f-tsm', 'das-4f-gsm', 'drawn-4f-gsf', 'learned-4f-gsf')
    yield DILATED
    what = 'shift by 6 % of the height a step'
    shift = Row('translate_y-4f-gsf', f'{what}, GSF', clip='translate_y', cell={'strength': -0.06})
    yield shift
    yield replace(shift, name='translate_y-4f-none', title=f'{what}, no fusion', fusion='none')
    title = f'{shift.title}, reference frame predicts'
    yield replace(shift, name='translate_y-4f-gsf-reference', title=title, **REFERENCE)


def short_table() -> Iterator[Row]:
    """The rows that tell what fusion and warps bring: of networks of full width and of pretrained ones."""
    names = ('plain', 'repeat-4f-gsf', 'repeat-4f-tsm', 'argmax-4f-tsm-undecayed')
    return (row for row in table() if row.name in (*names, *(f'argmax-{frames}f-gsf-undecayed' for frames in (4, 8))))


# Word of the row's name, title.
AUGMENTATIONS = (
    ('', 'plain'),
    ('uniform', 'uniform control of DDAS, no search'),
    ('ddas', 'DDAS'),
    ('ddas-shared', 'DDAS, copies share the batch'),
    ('rand', 'RandAugment'),
    ('trivial', 'TrivialAugment'),
    ('auto', 'AutoAugment'),
    ('dada', 'DADA'),
    ('faster-aa', 'Faster AutoAugment'),
)


def augment_table(budget: float) -> Iterator[Row]:
    """Rows with augmented batches, plain and with DAS, all of the same length.

    Args:
        budget: in units of the task's iterations.
    """
    for word, title in AUGMENTATIONS:
        name = f'augment-{word or "plain"}'
        yield Row(name, title, frames=1, budget=budget, augment=word)
    das = Row('', '', fusion='tsm', clip='search', selection='ArgmaxSelection', logits=UNDECAYED, budget=budget)
    for word, title in AUGMENTATIONS[1:]:  # without any it is argmax-4f-tsm-undecayed
        yield replace(das, name=f'augment-das-4f-tsm-{word}', title=f'DAS with {title}', augment=word)


# Words of --augment, words of --regularize, title.
METHODS: tuple[tuple[tuple[str, ...], tuple[str, ...], str], ...] = (
    (('cutout',), (), 'Cutout'),
    (('keep-cutout',), (), 'KeepCutout'),
    (('keep-randaugment',), (), 'KeepRandAugment'),
    (('cutmix',), (), 'CutMix'),
    (('keep-cutmix',), (), 'KeepCutMix'),
    (('mixup',), (), 'Mixup'),
    (('puzzle-mix',), (), 'Puzzle Mix'),
    (('hide-and-seek',), (), 'Hide-and-Seek'),
    ((), ('label-smoothing',), 'label smoothing'),
    ((), ('dropblock',), 'DropBlock'),
    ((), ('adl',), 'ADL'),
    ((), ('mixstyle',), 'MixStyle'),
    (('randaugment', 'cutmix'), (), 'RandAugment, CutMix'),
    (('randaugment', 'cutout'), (), 'RandAugment, Cutout'),
    (('randaugment',), ('label-smoothing',), 'RandAugment, label smoothing'),
    (('keep-randaugment', 'puzzle-mix'), (), 'KeepRandAugment, Puzzle Mix'),
    (('randaugment', 'keep-cutout'), ('mixstyle',), 'RandAugment, KeepCutout, MixStyle'),
)


def methods_table(budget: float) -> Iterator[Row]:
    """Plain rows with what augments, mixes and regularises, alone and together, all of the same length.

    Args:
        budget: in units of the task's iterations.
    """
    for words, regularize, title in METHODS:
        name = '-'.join(['method', *words, *regularize])
        yield Row(name, title, frames=1, budget=budget, words=words, regularize=regularize)


def unused_table(
    teacher: str, prefix: str, long: str, budget: float, losses: str, options: Mapping[str, Any]
) -> Iterator[Row]:
    """Rows with RandAugment that train on the images that the others leave out, too.

    Args:
        teacher: name of the row that labels them.
        prefix: of the rows' names.
        long: end of the rows' titles.
        budget: in units of the task's iterations.
        losses: words of ``mmdas distill``.
        options: settings by which they have their true labels.
    """
    row = Row('', '', frames=1, budget=budget, augment='rand')
    title = 'RandAugment, and unused images that it has labelled'
    yield replace(row, name=f'{prefix}-unused', title=f'{title}{long}', labelled_by=teacher)
    sure = replace(row, name=f'{prefix}-unused-sure', title=f'{title}, those above 0.8 alone{long}')
    yield replace(sure, labelled_by=teacher, confidence=0.8)
    taught = replace(row, name=f'{prefix}-unused-taught', title=f'{title}, and taught by it{long}')
    yield replace(taught, labelled_by=teacher, teacher=teacher, losses=losses)
    title = 'RandAugment, and unused images with their true labels'
    yield replace(row, name=f'{prefix}-unused-true', title=f'{title}{long}', options=options)


# Methods of CamVid's long trainings.
LONG = [row for row in METHODS if row[2] in ('Cutout', 'CutMix', 'KeepCutMix', 'label smoothing', 'DropBlock')]
LONG = [
    *LONG,
    (('randaugment',), (), 'RandAugment'),
    (('cutmix',), ('label-smoothing',), 'CutMix, label smoothing'),
    (('randaugment',), ('label-smoothing',), 'RandAugment, label smoothing'),
    (('randaugment', 'cutmix'), ('label-smoothing',), 'RandAugment, CutMix, label smoothing'),
]
# And its policies: word of augmentations.py, title.
LONG_POLICIES = (
    ('uniform', 'uniform control of DDAS, no search'),
    ('ddas', 'DDAS'),
    ('rand-mild', 'RandAugment at level 4 of 30'),
    ('ddas-mild', 'DDAS, levels 0, 1, 3 and 5'),
)


def long_methods_table(budget: float) -> Iterator[Row]:
    """Methods near the plateau of a task whose other rows end long before it.

    Args:
        budget: in units of the task's iterations.
    """
    for words, regularize, title in LONG:
        name = '-'.join(['method-long', *words, *regularize])
        title = f'{title}, {budget:.0f} times as long'
        yield Row(name, title, frames=1, budget=budget, words=words, regularize=regularize)
    for word, title in LONG_POLICIES:
        yield Row(f'method-long-{word}', f'{title}, {budget:.0f} times as long', frames=1, budget=budget, augment=word)
    for word, title in (('plain', 'plain'), ('rand', 'RandAugment')):
        options = dict(frames=1, budget=2 * budget, augment='' if word == 'plain' else word)
        yield Row(f'method-longer-{word}', f'{title}, {2 * budget:.0f} times as long', **options)


# Teacher -> word of the row's name, title.
TEACHERS = {
    'plain': ('plain', 'plain'),
    'argmax-4f-tsm-undecayed': ('das', 'searched, argmax, TSM, four frames'),
    'augment-rand': ('rand', 'RandAugment'),
    'augment-das-4f-tsm-rand': ('das-rand', 'DAS with RandAugment'),
}
# Teachers, images of the student, views: what is measured beside every teacher for a student of images as they are.
TAUGHT = (('plain', 'rand', 1), ('augment-rand', 'rand', 1), ('augment-rand', 'rand', 2))
TAUGHT = (*TAUGHT, ('augment-das-4f-tsm-rand', 'rand', 1))

# The same of teachers that see each image once.
CACHED = (('argmax-4f-tsm-undecayed', ''), ('augment-rand', ''), ('augment-rand', 'rand'))


def distil_table(budget: float, losses: str = 'kl') -> Iterator[Row]:
    """Plain rows that learn from a teacher, of one view and two, trained for ``budget`` as their teachers.

    Args:
        budget: in units of the task's iterations.
        losses: words of ``mmdas distill``.
    """
    for teacher, views in product(TEACHERS, (1, 2)):
        yield taught(teacher, '', views, budget, losses)
    for teacher, augment, views in TAUGHT:
        yield taught(teacher, augment, views, budget, losses)
    row = taught('augment-rand', 'rand', 1, budget, losses)
    yield replace(row, name='distil-rand2-on-rand', title=row.title.replace('by', 'by two of', 1), teachers=2)
    half = replace(row, name='distil-rand-on-rand-half', title=f'{row.title}, a teacher of half as many iterations')
    yield replace(half, teacher_budget=0.5)
    row = taught('plain', '', 1, budget, losses)
    yield replace(row, name='distil-plain2', title=row.title.replace('by', 'by two of', 1), teachers=2)
    if losses == 'kl':  # logits of whole images, which a segmentation has none of
        for teacher, augment in CACHED:
            row = taught(teacher, augment, 1, budget, losses)
            yield replace(row, name=f'{row.name}-cached', title=f'{row.title}, seen once', cached=True)
    else:
        for word in losses.split():
            row = taught('plain', '', 1, budget, word)
            yield replace(row, name=f'distil-plain-by-{word}', title=f'{row.title}, {word.upper()} alone')
            title = f'{row.title}, {word.upper()} alone at temperature 1'
            yield replace(row, name=f'distil-plain-by-{word}-t1', title=title, temperature=1.0)
    for augment in ('', 'rand'):
        yield taught_online(augment, budget, losses)
    long = Row('distil-none-rand', 'RandAugment, twice as long, no teacher', frames=1, augment='rand')
    yield replace(long, budget=2 * budget)


def taught(teacher: str, augment: str, views: int, budget: float, losses: str) -> Row:
    """A plain row that learns from a teacher."""
    word, title = TEACHERS[teacher]
    name = '-'.join(filter(None, ['distil', word, augment and f'on-{augment}', 'views' if views == 2 else '']))
    title = f'plain, taught by {title}'
    title += f', both on images of {dict(AUGMENTATIONS)[augment]}' if augment else ''
    title += ', two views' if views == 2 else ''
    return Row(name, title, frames=1, budget=budget, teacher=teacher, augment=augment, views=views, losses=losses)


def long_distil_table(budget: float) -> Iterator[Row]:
    """Plain rows near the plateau of a segmentation that learn from RandAugment of as many iterations, on its images.

    Args:
        budget: in units of the task's iterations.
    """
    row = Row('', '', frames=1, budget=budget, augment='rand', teacher='method-long-randaugment')
    title = f'plain, taught by RandAugment, both on its images, {budget:.0f} times as long'
    for losses, temperature, words in (('kl', 1.0, 'KL at temperature 1'), ('kl', None, 'KL'), ('cwd', None, 'CWD')):
        end = losses if temperature is None else f'{losses}-t1'
        options = dict(losses=losses, temperature=temperature)
        yield replace(row, name=f'distil-long-rand-on-rand-by-{end}', title=f'{title}, {words} alone', **options)


def taught_online(augment: str, budget: float, losses: str) -> Row:
    """A plain row that learns from the average of its own weights."""
    name = '-'.join(filter(None, ['distil-average', augment and f'on-{augment}']))
    title = 'plain, taught by the average of its weights'
    title += f', both on images of {dict(AUGMENTATIONS)[augment]}' if augment else ''
    return Row(name, title, frames=1, budget=budget, augment=augment, online=True, losses=losses)


def light_tables(budget: float, losses: str) -> Iterator[Row]:
    """Rows whose network is plain in a test, or that say what an augmentation brings to DAS.

    Args:
        budget: in units of the task's iterations.
        losses: words of ``mmdas distill``.
    """
    yield from augment_table(budget)
    yield from methods_table(budget)
    yield from distil_table(budget, losses)


# Places at which frames part, in words.
PLACES = {'layer1': 'stage 1', 'layer2': 'stage 2', 'layer3.0': 'the first block of stage 3'}


def parted_table(budget: float) -> Iterator[Row]:
    """Rows whose frames part behind a stage of the backbone, of the policies of ``argmax-4f-tsm-undecayed``.

    Args:
        budget: in units of the task's iterations.
    """
    base = Row('', '', fusion='tsm', selection='ArgmaxSelection', logits=UNDECAYED, budget=budget)
    for clip, title in (('search', 'searched, argmax, TSM'), ('repeat', 'repeat, TSM')):
        for number, (place, words) in enumerate(PLACES.items(), start=1):
            name = f'part-{number}-4f-tsm{"-repeat" if clip == "repeat" else ""}'
            yield replace(base, name=name, title=f'{title}, frames part after {words}', clip=clip, part_after=place)


ROWS = {
    'cifar10': [
        *table(),
        *parted_table(2),
        *aligned_fusion_table(),
        *light_tables(2, 'kl'),
        *unused_table('augment-rand', 'method', '', 2, 'kl', {'train_dataloader.dataset.per_class': 1000}),
    ],
    'camvid': [
        *segmentation_table(),
        *parted_table(1),
        *geometry_table(),
        *aligned_fusion_table(geometry=True),
        *sizes_table(),
        *light_tables(1, 'kl cwd'),
        *long_methods_table(3),
        *long_distil_table(3),
        *unused_table(
            'method-long-randaugment',
            'method-long',
            ', 3 times as long',
            3,
            'kl',
            {'train_dataloader.dataset.indices': None},
        ),
    ],
    'camvid_narrow': list(narrow_table()),
    'distant_cues': list(distant_table()),
    'voc2012': [*segmentation_table(), *geometry_table(), *light_tables(1, 'kl cwd')],
    'camvid_pretrained': [*short_table(), *geometry_table()],
    'cifar10_r18': list(short_table()),
    'camvid_r18': [*short_table(), *geometry_table()],
}
