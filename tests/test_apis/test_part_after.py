"""Conversions whose frames part behind a stage."""

import shlex
from argparse import ArgumentParser
from pathlib import Path

import pytest

from mmdas.apis import DASOptions, check_conversion, convert, das_configs, read_config
from mmdas.apis.das_options import ConversionError
from mmdas.commands.run_options import add_conversion_arguments, conversion_options
from mmdas.commands.search import next_command

CONFIGS = Path(__file__).parents[2] / 'configs'
CLASSIFIER = CONFIGS / 'cifar10_reduced/resnet18-quarter_cifar10-reduced.py'
SEGMENTOR = CONFIGS / 'digit_scenes/fcn_r18-d4_digits-48x48.py'
PARTED = DASOptions(fusion='tsm', part_after='layer2')


@pytest.fixture(scope='module')
def classifier():
    return read_config(CLASSIFIER)


@pytest.mark.parametrize(
    ('config', 'kind'), [(CLASSIFIER, 'mmdas.DASImageClassifier'), (SEGMENTOR, 'mmdas.DASEncoderDecoder')]
)
def test_model_of_files_and_loaded_configs_lends_the_step(config, kind):
    plain = read_config(config)
    assert convert(plain, 'repeat', PARTED).model.type == kind
    repeat, *others = das_configs(plain, 'name', 'plain.py', PARTED).values()
    assert f"type='{kind}'" in repeat
    assert "part_after='layer2'" in repeat  # which the others inherit
    assert not any('part_after' in text for text in others)


def test_clips_of_images_stay_as_they_are(classifier):
    made = convert(classifier, 'repeat', DASOptions(fusion='tsm')).model
    assert 'part_after' not in made.backbone
    assert made.type == 'ImageClassifier'


def test_command_line_takes_a_place_or_a_number_of_stages():
    parser = ArgumentParser()
    add_conversion_arguments(parser)
    for words, found in ((['--part-after', 'layer1.0'], 'layer1.0'), (['--part-after', '2'], 2), ([], None)):
        assert conversion_options(parser.parse_args(words)).part_after == found


def test_runs_whose_frames_part_elsewhere_have_other_names(classifier):
    names = {
        Path(convert(classifier, 'das', DASOptions(fusion='tsm', part_after=place)).filename).stem
        for place in (None, 1, 'layer1.0', 'layer1')
    }
    assert len(names) == 4
    assert 'das-4f-tsm-part-layer1-0_resnet18-quarter_cifar10-reduced' in names
    das = convert(classifier, 'das', PARTED)
    search = convert(classifier, 'search', PARTED)
    assert Path(das.data_preprocessor.policy).parent.name == Path(search.filename).stem


def test_training_that_a_search_names_has_the_form_of_the_search():
    parser = ArgumentParser()
    add_conversion_arguments(parser)
    parser.set_defaults(config='plain.py', work_dir='run', das='search')
    words = ['--fusion', 'aligned-tsm', '--part-after', '2', '--any-frames', '--sites', 'a.conv', 'b.conv']
    searched = parser.parse_args([*words, '--frames', '6', '--selection', 'argmax'])
    command = shlex.split(next_command(searched))
    assert command[:5] == ['mmdas', 'train', 'plain.py', '--das', 'run/policy.json']
    assert vars(parser.parse_args(command[5:])) == vars(parser.parse_args(words))
    assert shlex.split(next_command(parser.parse_args([]))) == command[:5]


def test_place_that_there_is_not_is_refused_before_a_run(classifier):
    with pytest.raises(ConversionError, match=r"backbone: part_after='layer7': ResNet_CIFAR has no such part"):
        check_conversion(convert(classifier, 'das', DASOptions(part_after='layer7')))
