"""Conversions whose frames part behind a stage."""

from pathlib import Path

import pytest

from mmdas.apis import DASOptions, add_das, check_conversion, convert, read_config
from mmdas.apis.das_options import ConversionError
from mmdas.commands.main import main
from mmdas.commands.run_options import read_place

CONFIGS = Path(__file__).parents[2] / 'configs'
HOSTS = {
    'cifar10_reduced/resnet18-quarter_cifar10-reduced.py': 'mmdas.DASImageClassifier',
    'digit_scenes/fcn_r18-d4_digits-48x48.py': 'mmdas.DASEncoderDecoder',
}


@pytest.mark.parametrize('host', HOSTS)
def test_files_and_loaded_config_part_alike_and_their_model_lends_the_step(host, tmp_path):
    options = DASOptions(fusion='tsm', part_after='layer2')
    paths = add_das(CONFIGS / host, tmp_path, options)
    for method, path in zip(('repeat', 'search', 'das'), paths, strict=True):
        written, made = read_config(path), convert(read_config(CONFIGS / host), method, options)
        assert written.model == made.model
        assert made.model.backbone.part_after == 'layer2'
        assert made.model.type == HOSTS[host]


def test_command_line_takes_a_place_or_a_number_of_stages(tmp_path):
    config = str(CONFIGS / 'cifar10_reduced/resnet18-quarter_cifar10-reduced.py')
    main(['convert', config, '--out-dir', str(tmp_path), '--fusion', 'tsm', '--part-after', '2'])
    assert read_config(next(tmp_path.glob('search*'))).model.backbone.part_after == 2
    assert read_place('layer1.0') == 'layer1.0'


def test_place_that_there_is_not_is_refused_before_a_file_is_written(tmp_path):
    host = read_config(CONFIGS / 'cifar10_reduced/resnet18-quarter_cifar10-reduced.py')
    with pytest.raises(ConversionError, match=r"backbone: part_after='layer7': ResNet_CIFAR has no such part"):
        check_conversion(convert(host, 'das', DASOptions(part_after='layer7')))
