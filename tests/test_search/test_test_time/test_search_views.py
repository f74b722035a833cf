"""The search of views without a toolbox."""

import pytest
import torch
from torch import Tensor

from mmdas.search.test_time import View, ViewPolicy, ViewTable, predict_views, search_views, weighted_mean
from mmdas.search.test_time.scores import Score
from mmdas.search.test_time.search import deal, halves

FEW = (View(), View(flip=True), View('translate_x', 0.25))


def one_sided(images: Tensor) -> Tensor:
    """A classifier that sees the left half of images alone: how bright its red and its green are."""
    return 8 * images[..., : images.shape[-1] // 2].mean(dim=(-2, -1))[:, :2]


def two_sided_images(count: int, seed: int = 0) -> list[tuple[Tensor, Tensor]]:
    """Images whose left or right half tells the class, drawn anew for each."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(2, (count,), generator=generator)
    images = 0.2 * torch.rand(count, 3, 8, 8, generator=generator)
    for image, label in zip(images, labels, strict=True):
        side = int(torch.randint(2, (), generator=generator)) * 4
        image[int(label), :, side : side + 4] += 0.6
    return list(zip(images.split(16), labels.split(16), strict=True))


def test_view_that_shows_the_missing_side_is_found_and_used():
    policy = search_views(one_sided, two_sided_images(200), FEW, max_views=2)
    assert set(policy.views) == {View(), View(flip=True)}
    assert policy.origin['scores']['views'] > policy.origin['scores']['image'] + 10
    assert 0.3 < policy.weights[0] < 0.7
    images, labels = map(torch.cat, zip(*two_sided_images(200, seed=1), strict=True))
    plain, averaged = predict_views(one_sided, images, ViewPolicy()), predict_views(one_sided, images, policy)
    assert (averaged.argmax(1) == labels).float().mean() > (plain.argmax(1) == labels).float().mean() + 0.1


@pytest.mark.parametrize('seed', range(8))
@pytest.mark.parametrize('maps', [False, True])
def test_policy_is_never_worse_than_the_image_on_the_half_that_decides(seed: int, maps: bool):
    generator = torch.Generator().manual_seed(seed)
    weights = torch.randn(4, 3, generator=generator)
    shape = (8, 10) if maps else ()
    batches = [
        (torch.rand(4, 3, 8, 10, generator=generator), torch.randint(4, (4, *shape), generator=generator))
        for _ in range(5)
    ]

    def predict(images: Tensor) -> Tensor:
        jitter = images + torch.rand(images.shape, generator=torch.Generator().manual_seed(seed))
        logits = torch.einsum('kc,nchw->nkhw', weights, jitter)
        return logits if maps else logits[..., 0, 0]

    policy = search_views(predict, batches, max_views=3, price=0.0, seed=seed)
    decide = ~deal(20, seed)
    scores = []
    for one in (ViewPolicy(), policy):
        score = Score()
        for images, labels in halves(batches, decide):
            score.add(predict_views(predict, images, one), labels)
        scores.append(score.value())
    assert scores[1] >= scores[0]
    assert policy.is_image or scores[1] > scores[0]
    assert scores[0] == pytest.approx(policy.origin['scores']['image'])


def test_equal_seeds_give_equal_policies():
    batches = two_sided_images(60)
    first, again = (search_views(one_sided, batches, FEW, seed=4) for _ in range(2))
    assert (first.views, first.weights) == (again.views, again.weights)


def test_halves_are_disjoint_and_together_all():
    learners = deal(11, seed=3)
    assert int(learners.sum()) == 5
    batches = [(torch.arange(first, min(first + 4, 11)), torch.zeros(min(4, 11 - first))) for first in (0, 4, 8)]
    parts = [torch.cat([images for images, _ in halves(batches, part)]) for part in (learners, ~learners)]
    assert sorted(torch.cat(parts).tolist()) == list(range(11))


def test_one_image_is_refused():
    with pytest.raises(ValueError, match='two held-out images'):
        search_views(one_sided, [(torch.rand(1, 3, 8, 8), torch.zeros(1).long())])


def test_pixel_gets_no_vote_from_a_view_that_does_not_show_it():
    first, second = torch.rand(2, 1, 3, 4, 4)
    seen = torch.ones(1, 1, 4, 4)
    seen[..., 2:] = 0
    mean = weighted_mean([(0.25, first, torch.ones(1, 1, 4, 4)), (0.75, second, seen)])
    torch.testing.assert_close(mean[..., 2:], first[..., 2:])
    torch.testing.assert_close(mean[..., :2], (first / 4 + 3 * second / 4)[..., :2])


def test_table_reads_the_probability_of_the_class_at_each_pixel():
    labels = torch.randint(3, (6, 8))
    labels[0] = 255
    probabilities = torch.rand(3, 6, 8).softmax(0)
    table = ViewTable([View()], num_images=1, num_pixels=1000)
    drawn = table.draw_pixels(labels)
    table.add_pixels(0, probabilities, torch.ones(1, 6, 8), labels.shape, drawn)
    places, classes = drawn
    assert len(places) == 5 * 8  # without those that are ignored
    read = probabilities.flatten(1)[:, places].log() / table.temperature
    torch.testing.assert_close(table.probabilities[0], read.softmax(0).gather(0, classes[None])[0])
    assert torch.equal(classes, labels.flatten()[places])


def test_table_takes_a_bounded_number_of_pixels():
    table = ViewTable([View()], num_images=4, num_pixels=100)
    for _ in range(4):
        labels = torch.randint(2, (50, 60))
        table.add_pixels(0, torch.rand(2, 5, 6), torch.ones(1, 5, 6), labels.shape, table.draw_pixels(labels))
    assert table.probabilities.shape == (1, 100)


def test_single_channel_counts_as_foreground():
    table = ViewTable([View()], num_images=1)
    labels = torch.tensor([[0, 1], [1, 0]])
    foreground = torch.tensor([[[0.1, 0.7], [0.8, 0.4]]])
    drawn = table.draw_pixels(labels)
    table.add_pixels(0, foreground, torch.ones(1, 2, 2), labels.shape, drawn)
    expected = torch.tensor([0.9, 0.7, 0.8, 0.6])[drawn[0]].logit()
    torch.testing.assert_close(table.probabilities[0].logit() * table.temperature, expected)


@pytest.mark.parametrize('factor', [0.5, 2.0])
def test_policy_does_not_depend_on_how_sure_a_network_is(factor: float):
    def noisy(images: Tensor) -> Tensor:
        return one_sided(images) + 40 * images[:, 2, :2, 0]

    batches = two_sided_images(100)
    policy, other = (search_views(net, batches, FEW) for net in (noisy, lambda images: factor * noisy(images)))
    assert other.origin['temperature'] == pytest.approx(factor * policy.origin['temperature'])
    assert policy.views == other.views
    assert policy.weights == pytest.approx(other.weights, abs=1e-3)


def test_label_beyond_the_classes_is_refused():
    table = ViewTable([View()], num_images=1)
    with pytest.raises(ValueError, match='reach from 0 to 5, but the network has 3'):
        table.add_classes(0, torch.rand(2, 3), torch.tensor([0, 5]))
    with pytest.raises(ValueError, match='one class an image'):
        table.add_classes(0, torch.rand(2, 3), torch.zeros(2, 3))


def test_scores_are_those_counted_one_by_one():
    probabilities, labels = torch.rand(4, 3, 5, 6), torch.randint(3, (4, 5, 6))
    labels[0, 0] = 255
    score = Score()
    for image, label in zip(probabilities.split(2), labels.split(2), strict=True):
        score.add(image, label)
    found, valid = probabilities.argmax(1), labels != 255
    ious = []
    for k in range(3):
        both = ((found == k) & (labels == k) & valid).sum()
        ious.append(both / (((found == k) | (labels == k)) & valid).sum())
    assert score.value() == pytest.approx(float(100 * torch.stack(ious).mean()), abs=1e-4)
    top = Score()
    top.add(torch.tensor([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]]), torch.tensor([1, 1, 1]))
    assert top.value() == pytest.approx(200 / 3)
