"""KeepAugment on models whose saliency is known: what is covered, pasted and labelled."""

import copy
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.structures import PixelData
from mmpretrain.structures import DataSample
from mmseg.structures import SegDataSample
from torch import nn

from mmdas.apis.resuming import check_kept_policy
from mmdas.augment import KeepCutMix, KeepCutout, KeepPaste, PolicyAugment
from mmdas.augment.keep.scores import label_scores
from mmdas.augment.keep.sizes import RegionSizes
from mmdas.ops.keep import admissible, importance_map
from mmdas.ops.saliency import input_saliency
from mmdas.registry import AUGMENTS, MODELS
from mmdas.search.augmentation import AugmentPolicy, Choice, Stage, SubPolicy
from mmdas.search.das import Pixels

B, K, H, W = 6, 3, 8, 10
CONTENTS = [(8, 10), (6, 10), (8, 7), (5, 5), (8, 10), (7, 9)]
IGNORED = 255
INVERT = AugmentPolicy((SubPolicy((Stage((Choice('invert'),), 1),)),))


class Weighted(nn.Module):
    """A model with a weight for each pixel and class, which are the saliency."""

    def __init__(self, maps: bool) -> None:
        super().__init__()
        self.weights = torch.rand(K, H, W, generator=torch.Generator().manual_seed(3)) - 0.5
        self.backbone, self.maps = nn.Identity(), maps
        head = nn.Identity()
        head.num_classes, head.ignore_index = K, IGNORED
        setattr(self, 'decode_head' if maps else 'head', head)
        self.data_preprocessor = nn.Identity()
        self.data_preprocessor.to_inputs = lambda images, sizes=None: images

    def forward(self, inputs, samples, mode):
        assert mode == 'tensor' and not self.backbone.training
        seen = self.backbone(inputs).sum(1, keepdim=True) * self.weights  # (B, K, H, W)
        return seen if self.maps else seen.sum((2, 3))


def cls_batch(count=B):
    """Images whose pixels say which image they are of, and samples."""
    images = torch.arange(1.0, count + 1).view(-1, 1, 1, 1).expand(-1, 3, H, W).clone()
    return images, [DataSample().set_gt_label(number % K) for number in range(count)]


def seg_batch():
    """Images and label maps in which each pixel says its image, and padding has -1 and the ignored label."""
    images, samples = torch.full((B, 3, H, W), -1.0), []
    for number, (height, width) in enumerate(CONTENTS):
        labels = torch.full((1, H, W), IGNORED)
        images[number, :, :height, :width] = number + 1
        labels[:, :height, :width] = number % K
        sample = SegDataSample(metainfo=dict(img_padding_size=(0, W - width, 0, H - height)))
        sample.gt_sem_seg = PixelData(data=labels)
        samples.append(sample)
    return images, samples


BATCHES = {False: cls_batch, True: seg_batch}
each_task = pytest.mark.parametrize('maps', [False, True], ids=['classification', 'segmentation'])


def known(step, maps):
    model = Weighted(maps)
    step.use_model(model)
    return step, model


def labels_of(samples):
    return torch.stack([sample.gt_sem_seg.data for sample in samples])


def check_boxes(boxes, model, maps, above, contents=None, quantile=0.6):
    """Each box is a region that may be taken: in the content, on its side of the quantile."""
    contents = torch.tensor(CONTENTS if maps else [(H, W)] * B) if contents is None else contents
    saliency = torch.stack([model.weights[number % K].abs() for number in range(B)])
    for number, box in enumerate(boxes):
        corners = box.nonzero()
        first, last = corners.amin(0), corners.amax(0)
        size = (last - first + 1)[None]
        assert int(box.sum()) == int(size.prod())  # a rectangle
        # labels of padding do not count, so that the saliency is zero there
        shown = torch.zeros(H, W)
        shown[: CONTENTS[number][0], : CONTENTS[number][1]] = 1
        seen = (saliency[number] * shown)[None] if maps else saliency[number : number + 1]
        found = admissible(*importance_map(seen, size, contents[number : number + 1]), quantile, above)
        assert found[0, first[0], first[1]]


@each_task
@pytest.mark.parametrize('seed', range(4))
def test_cutout_covers_a_region_that_matters_little(maps, seed):
    torch.manual_seed(seed)
    step, model = known(KeepCutout(size=(0.2, 0.6), aspect=(0.5, 2.0)), maps)
    images, samples = BATCHES[maps]()
    covered, same = step(images, samples)
    check_boxes(covered[:, 0] == 0, model, maps, above=False)
    assert torch.equal(covered[covered != 0], images[covered != 0])
    assert same == samples


def test_cutout_can_hide_labels_from_the_loss():
    step, _ = known(KeepCutout(ignore_covered=True), maps=True)
    images, samples = seg_batch()
    covered, hidden = step(images, samples)
    boxes = covered[:, :1] == 0
    assert torch.equal(labels_of(hidden), labels_of(samples).masked_fill(boxes, IGNORED))
    assert not (labels_of(samples) == IGNORED)[boxes].any()


@each_task
def test_cut_mix_covers_a_region_that_matters_little_and_labels_follow(maps):
    torch.manual_seed(0)
    step, model = known(KeepCutMix(probability=1.0), maps)
    images, samples = BATCHES[maps]()
    mixed, labelled = step(images, samples)
    boxes = mixed[:, 0] != images[:, 0]
    owners = mixed[:, :1].long() - 1  # image that each pixel is of
    shared = None
    if maps:
        others = [CONTENTS[owner[0][box].unique().item()] for owner, box in zip(owners, boxes, strict=True)]
        shared = torch.minimum(torch.tensor(CONTENTS), torch.tensor(others))
    check_boxes(boxes, model, maps, above=False, contents=shared)
    if maps:
        assert torch.equal(labels_of(labelled), torch.where(owners < 0, IGNORED, owners % K))
    else:
        for owner, sample in zip(owners, labelled, strict=True):
            shares = torch.bincount((owner % K).flatten(), minlength=K) / (H * W)
            torch.testing.assert_close(sample.gt_score, shares)
        assert all(torch.equal(new.gt_label, old.gt_label) for new, old in zip(labelled, samples, strict=True))
        assert 'gt_score' not in samples[0]


def test_scores_that_are_mixed_already_are_mixed_again():
    step, _ = known(KeepCutMix(probability=1.0), maps=False)
    images, samples = cls_batch(2)
    scores = torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.2, 0.8]])
    mixed, labelled = step(images, [s.set_gt_score(score) for s, score in zip(samples, scores, strict=True)])
    for number, sample in enumerate(labelled):
        other = (mixed[number, 0] != images[number, 0]).float().mean()
        torch.testing.assert_close(sample.gt_score, (1 - other) * scores[number] + other * scores[1 - number])


def test_areas_of_cut_mix_are_those_of_its_beta_distribution():
    contents = torch.tensor([[100, 200]] * 4000)
    torch.manual_seed(0)
    for beta in (0.3, 1.0, 4.0):
        areas = KeepCutMix(beta)._draw_sizes(contents).prod(1) / (100 * 200)
        spread = (1 / (4 * (2 * beta + 1))) ** 0.5  # of Beta(beta, beta)
        assert areas.mean().item() == pytest.approx(0.5, abs=0.02)
        assert areas.std().item() == pytest.approx(spread, abs=0.02)


def paste_step(**options):
    step = KeepPaste(INVERT, **options)
    step.use_pixels(Pixels([0.0] * 3, [1.0] * 3, max_value=100.0))
    return step


@each_task
def test_paste_keeps_a_region_that_matters_as_it_is(maps):
    torch.manual_seed(0)
    step, model = known(paste_step(size=0.4), maps)
    images, samples = BATCHES[maps]()
    pasted, _ = step(images, samples)
    kept = (pasted == images).all(1) & (images[:, 0] > 0)
    check_boxes(kept, model, maps, above=True)
    changed = (pasted != images).all(1)
    torch.testing.assert_close(pasted[:, 0][changed], 100 - images[:, 0][changed])


def test_labels_are_pasted_with_the_pixels():
    step = KeepPaste(lambda images, samples: (images.flip(-1), [flipped(sample) for sample in samples]), size=0.5)

    def flipped(sample):
        return sample.new(gt_sem_seg=PixelData(data=sample.gt_sem_seg.data.flip(-1)))

    step, _ = known(step, maps=True)
    images = torch.randint(0, K, (B, 1, H, W)).float()
    samples = [SegDataSample(gt_sem_seg=PixelData(data=image.long())) for image in images]
    pasted, moved = step(images.expand(-1, 3, -1, -1), samples)
    assert torch.equal(labels_of(moved), pasted[:, :1].long())
    assert ((pasted[:, :1] == images) | (pasted[:, :1] == images.flip(-1))).all()
    assert not torch.equal(pasted[:, :1], images.flip(-1))


def test_fills():
    images, samples = cls_batch()
    torch.manual_seed(0)
    grey, _ = known(KeepCutout(fill='grey', size=1.0), maps=False)
    grey.use_pixels(Pixels([120.0, 100.0, 80.0], [10.0, 20.0, 40.0], channel_order='bgr'))
    expected = torch.tensor([(127.5 - m) / s for m, s in ((120, 10), (100, 20), (80, 40))])
    torch.testing.assert_close(grey(images, samples)[0], expected.view(3, 1, 1).expand_as(images))
    random, _ = known(KeepCutout(fill='random', size=1.0), maps=False)
    noise = random(images, samples)[0]
    assert abs(noise.mean().item()) < 0.15 and noise.std().item() == pytest.approx(1, abs=0.1)


def test_grey_is_told_by_the_data_preprocessor():
    step = dict(type='mmdas.KeepCutout', fill='grey')
    options = dict(mean=[120.0] * 3, std=[60.0] * 3, channel_order='rgb')
    built = MODELS.build(dict(type='mmdas.DASClsDataPreprocessor', augments=[step], **options))
    assert built.augments.steps[0].pixels is built.augment_pixels is not None
    with pytest.raises(ValueError, match=r"fill='grey' does not know what the pixels mean"):
        known(KeepCutout(fill='grey'), maps=False)[0](*cls_batch())


@pytest.mark.parametrize('kind', [KeepCutout, KeepCutMix, lambda **o: paste_step(**o)])
def test_so_many_images_are_drawn_as_the_probability_says(kind):
    images, samples = cls_batch(400)
    images = images * 0.2473  # all below white, and none its own negative
    torch.manual_seed(0)
    shares = {}
    for probability in (0.0, 0.3, 1.0):
        step, model = known(kind(probability=probability), maps=False)
        seen = []
        handle = model.backbone.register_forward_pre_hook(lambda module, inputs, seen=seen: seen.append(len(inputs[0])))
        changed, _ = step(images, samples)
        handle.remove()
        differs = (changed != images).any(1).flatten(1).float().mean(1)
        drawn = differs < 1 if step.above else differs > 0
        shares[probability] = drawn.float().mean().item()
        assert sum(seen) == int(drawn.sum())  # no other image is looked at
    assert shares[0.0] == 0 and shares[1.0] == 1
    assert shares[0.3] == pytest.approx(0.3, abs=0.07)


def test_seed_decides_and_the_batch_itself_stays():
    images, samples = cls_batch()
    before = images.clone(), copy.deepcopy(samples)
    for step in (KeepCutout(fill='random'), KeepCutMix(), paste_step()):
        known(step, maps=False)
        results = []
        for seed in (0, 0, 1):
            torch.manual_seed(seed)
            results.append(step(images, samples)[0])
        assert torch.equal(results[0], results[1])
        assert not torch.equal(results[0], results[2])
    assert torch.equal(images, before[0])
    assert [sorted(sample.keys()) for sample in samples] == [sorted(sample.keys()) for sample in before[1]]


def test_a_batch_of_one_is_not_mixed():
    step, _ = known(KeepCutMix(probability=1.0), maps=False)
    images, samples = cls_batch(1)
    mixed, labelled = step(images, samples)
    assert torch.equal(mixed, images)
    assert labelled[0].gt_score.tolist() == [1, 0, 0]


class TestScores:
    logits = torch.randn(2, K, generator=torch.Generator().manual_seed(0))

    def test_logit_of_the_label(self):
        samples = [DataSample().set_gt_label(2), DataSample().set_gt_label([0, 1])]
        expected = torch.stack([self.logits[0, 2], self.logits[1, :2].sum()])
        torch.testing.assert_close(label_scores(self.logits, samples), expected)

    def test_loss_of_soft_labels(self):
        soft = torch.tensor([[0.2, 0.8, 0.0], [0.0, 0.0, 1.0]])
        samples = [DataSample().set_gt_label(0).set_gt_score(score) for score in soft]
        expected = nn.functional.cross_entropy(self.logits, soft, reduction='none')
        torch.testing.assert_close(label_scores(self.logits, samples, 'loss'), expected)

    @pytest.mark.parametrize('score', ['logit', 'loss'])
    def test_maps_take_the_label_in_the_middle_of_each_position(self, score):
        logits = torch.randn(2, K, 2, 3, generator=torch.Generator().manual_seed(1))
        labels = torch.randint(0, K, (2, 1, 8, 9), generator=torch.Generator().manual_seed(2))
        labels[0, 0, 2, 4], labels[1, 0, 6, 1], labels[1, 0, 6, 7] = IGNORED, -1, K  # which do not count
        samples = [SegDataSample(gt_sem_seg=PixelData(data=label)) for label in labels]
        values = logits if score == 'logit' else -logits.log_softmax(1)
        expected = torch.zeros(2)
        for image in range(2):
            for row, y in enumerate((2, 6)):
                for column, x in enumerate((1, 4, 7)):
                    label = int(labels[image, 0, y, x])
                    expected[image] += values[image, label, row, column] if 0 <= label < K else 0
        torch.testing.assert_close(label_scores(logits, samples, score, IGNORED), expected)

    def test_ignored_label_below_the_number_of_classes_does_not_count(self):
        labels = torch.randint(0, K, (1, 1, 4, 4), generator=torch.Generator().manual_seed(2))
        logits = torch.randn(1, K, 4, 4, generator=torch.Generator().manual_seed(1))
        score = label_scores(logits, [SegDataSample(gt_sem_seg=PixelData(data=labels[0]))], 'logit', 0)
        expected = sum(logits[0, k][labels[0, 0] == k].sum() for k in (1, 2))
        torch.testing.assert_close(score[0], expected)

    def test_one_logit_stands_for_two_classes(self):
        labels = torch.tensor([[[0, 1], [1, 1]]])
        samples = [SegDataSample(gt_sem_seg=PixelData(data=labels))]
        saliency = input_saliency(lambda x: label_scores(3 * x, samples), torch.rand(1, 1, 2, 2))
        assert (saliency == 3).all()  # for both classes
        logits = torch.tensor([[[[0.3, -1.0], [2.0, 0.1]]]])
        expected = nn.functional.binary_cross_entropy_with_logits(logits, labels[None].float(), reduction='sum')
        torch.testing.assert_close(label_scores(logits, samples, 'loss')[0], expected)

    @pytest.mark.parametrize(
        ('logits', 'sample', 'problem'),
        [
            ([torch.zeros(1, 2)], DataSample().set_gt_label(0), 'head of the model gives list for 1 images'),
            (torch.zeros(2, 3), DataSample().set_gt_label(0), r'gives \(2, 3\) for 1 images'),
            (torch.zeros(1, 3), DataSample(), 'needs gt_label, gt_score or gt_sem_seg of samples, got no field'),
            (torch.zeros(1, 3), DataSample().set_gt_label(3), 'gt_label of a sample is .*3.*, the model has 3 classes'),
            (torch.zeros(1, 3), DataSample().set_gt_score([1.0, 0.0]), r'is \(2,\), the model has 3 classes'),
        ],
    )
    def test_what_has_no_score_is_refused(self, logits, sample, problem):
        with pytest.raises(ValueError, match=problem):
            label_scores(logits, [sample])


class TestSizes:
    def test_sides_are_shares_of_the_content(self):
        contents = torch.tensor([[20, 40], [10, 10], [3, 1]])
        assert RegionSizes(0.5, 1.0, 'X')(contents).tolist() == [[10, 20], [5, 5], [2, 1]]
        assert RegionSizes(0.01, 1.0, 'X')(contents).tolist() == [[1, 1]] * 3
        assert RegionSizes(0.5, 4.0, 'X')(contents).tolist() == [[20, 10], [10, 2], [3, 1]]

    def test_drawn_sizes_have_the_areas_and_aspects_of_their_ranges(self):
        torch.manual_seed(0)
        sides = RegionSizes((0.2, 0.5), (0.25, 4.0), 'X')(torch.tensor([[10000, 10000]] * 2000)) / 10000
        share, aspect = sides.prod(1).sqrt(), (sides[:, 0] / sides[:, 1]).log2()
        assert 0.2 <= share.min() < 0.21 and 0.49 < share.max() <= 0.5001
        assert share.mean().item() == pytest.approx(0.35, abs=0.01)
        assert -2.01 < aspect.min() < -1.9 and 1.9 < aspect.max() < 2.01
        assert aspect.mean().item() == pytest.approx(0, abs=0.1)

    @pytest.mark.parametrize(
        ('size', 'aspect', 'problem'),
        [
            (0.0, 1.0, r'size of X must be in \(0, 1\], .* got 0.0'),
            (1.1, 1.0, 'size of X'),
            ((0.5, 0.2), 1.0, 'size of X'),
            ((0.1, 0.2, 0.3), 1.0, 'size of X'),
            (0.5, 0.0, 'aspect of X must be above 0'),
            (0.5, (2.0, 0.5), 'aspect of X'),
        ],
    )
    def test_numbers_out_of_range_are_refused(self, size, aspect, problem):
        with pytest.raises(ValueError, match=problem):
            RegionSizes(size, aspect, 'X')


class TestErrors:
    @pytest.mark.parametrize(
        ('options', 'problem'),
        [
            (dict(quantile=1.5), r'quantile of KeepCutout must be in \[0, 1\], got 1.5'),
            (dict(probability=-0.1), 'probability of KeepCutout'),
            (dict(fill='black'), r"fill of KeepCutout must be one of .*, got 'black'"),
            (dict(saliency='half'), r"saliency must be one of \['full', 'low', 'early'\].*got 'half'"),
            (dict(saliency=dict(type='low', factor=2)), "unexpected keyword argument 'factor'"),
            (dict(saliency=dict(type='low', resolution=0.0)), r'resolution of a saliency must be in \(0, 1\], got 0.0'),
            (dict(saliency=dict(type='full', score='margin')), "score of a saliency must be one of .*, got 'margin'"),
            (dict(saliency=dict(type='early', lr=0.0)), 'lr of an early head must be above 0, got 0.0'),
        ],
    )
    def test_settings(self, options, problem):
        with pytest.raises(ValueError, match=problem):
            KeepCutout(**options)

    def test_beta(self):
        with pytest.raises(ValueError, match='beta of KeepCutMix must be above 0, got 0'):
            KeepCutMix(beta=0)

    @pytest.mark.parametrize('step', [KeepCutout(), dict(type='mmdas.KeepCutMix')])
    def test_steps_that_cannot_be_kept(self, step):
        with pytest.raises(ValueError, match='policy of KeepPaste is a Keep.*changes each image for itself'):
            KeepPaste(step)

    def test_no_step(self):
        with pytest.raises(ValueError, match='policy of KeepPaste must be .*, got 3'):
            KeepPaste(3)

    def test_without_a_model(self):
        with pytest.raises(ValueError, match='KeepCutout does not know the model; the tools add mmdas.AugmentHook'):
            KeepCutout()(*cls_batch())

    @pytest.mark.parametrize('samples', [None, []])
    def test_without_samples(self, samples):
        with pytest.raises(ValueError, match='needs the labels of its images'):
            known(KeepCutout(), maps=False)[0](torch.zeros(2, 3, 4, 4), samples)

    def test_a_model_without_a_head(self):
        model = Weighted(maps=False)
        del model.head
        with pytest.raises(ValueError, match='needs a model with a backbone and a head of logits .* got a Weighted'):
            KeepCutout().use_model(model)

    def test_head_that_counts_right_answers(self):
        model = Weighted(maps=False)
        model.head.cal_acc = True
        with pytest.raises(ValueError, match=r'set head.cal_acc=False'):
            KeepCutMix().use_model(model)


def test_policies_by_file_content_and_step(tmp_path):
    INVERT.save(tmp_path / 'policy.json')
    named = (INVERT, INVERT.to_dict(), str(tmp_path / 'policy.json'), tmp_path / 'policy.json')
    config = dict(type='mmdas.PolicyAugment', policy=INVERT.to_dict(), ignore_index=7)
    for policy in (*named, config):
        step = AUGMENTS.build(dict(type='mmdas.KeepPaste', policy=policy))
        assert isinstance(step.step, PolicyAugment)
        assert step.step.augmentation.policy == INVERT
        assert [operation.name for operation in step.operations] == ['invert']
        assert step.ignore_index == (7 if policy is config else 255)


def test_work_directory_keeps_the_policy_of_a_paste(tmp_path):
    from mmdas.engine.hooks import KeepPolicyHook

    model = nn.Module()
    model.data_preprocessor = SimpleNamespace(augments=SimpleNamespace(steps=[KeepPaste(INVERT)]))
    logger = SimpleNamespace(info=print, warning=print)
    KeepPolicyHook().before_train(SimpleNamespace(model=model, work_dir=str(tmp_path), iter=0, logger=logger))
    assert AugmentPolicy.load(tmp_path / 'augmentation.json') == INVERT


@pytest.mark.parametrize('inner', ['content', 'step'])
def test_a_training_does_not_write_over_one_with_another_pasted_policy(tmp_path, inner):
    def config(policy):
        content = policy.to_dict()
        named = content if inner == 'content' else dict(type='mmdas.PolicyAugment', policy=content)
        preprocessor = dict(type='mmdas.DASClsDataPreprocessor', augments=[dict(type='mmdas.KeepPaste', policy=named)])
        return Config(dict(work_dir=str(tmp_path), model=dict(data_preprocessor=preprocessor)))

    INVERT.save(tmp_path / 'augmentation.json')
    (tmp_path / 'iter_1.pth').write_bytes(b'x')
    check_kept_policy(config(INVERT))
    other = AugmentPolicy((SubPolicy((Stage((Choice('equalize'),), 1),)),))
    with pytest.raises(ValueError, match='holds a training with another policy'):
        check_kept_policy(config(other))
