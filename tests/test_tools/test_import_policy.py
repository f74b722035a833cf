from pathlib import Path

import pytest
from tool_scripts import load_script

from mmdas.search import load_policy

CONFIG = """
train_dataloader = dict(dataset=dict(pipeline=[
    dict(type='LoadImageFromFile'),
    dict(type='RandAugment', policies=[dict(type='Invert'), dict(type='Rotate', magnitude_range=(0, 30))],
         num_policies=3, magnitude_level=5)]))
test_dataloader = dict(dataset=dict(pipeline=[dict(type='AutoAugment', policies='imagenet')]))
"""


@pytest.fixture
def tool():
    """The module tools/misc/import_policy.py."""
    return load_script('misc/import_policy.py')


def test_every_name_of_the_list_gives_a_policy(tool, tmp_path, capsys):
    tool.main(['--list'])
    names = capsys.readouterr().out.split()
    assert {'autoaugment-cifar10', 'randaugment', 'trivialaugment', 'mmpretrain-timm_increasing'} <= set(names)
    for name in names:
        out = tmp_path / 'new' / f'{name}.json'
        tool.main([name, str(out), '--size', '32', '32'])
        assert capsys.readouterr().out == f'{out}\n'
        assert load_policy(out).origin['method']


def test_options_reach_rand_augment(tool, tmp_path):
    tool.main(['randaugment', str(tmp_path / 'p.json'), '--operations', '3', '--level', '30'])
    policy = load_policy(tmp_path / 'p.json')
    assert policy.sub_policies[0].stages[0].repeat == 3
    assert next(choice for choice in policy.choices() if choice.operation == 'rotate').magnitude == 30


def test_the_policy_of_a_config_is_that_of_its_training(tool, tmp_path):
    (tmp_path / 'config.py').write_text(CONFIG)
    tool.main([str(tmp_path / 'config.py'), str(tmp_path / 'p.json')])
    (stage,) = load_policy(tmp_path / 'p.json').sub_policies[0].stages
    assert stage.repeat == 3
    assert [(choice.operation, choice.magnitude) for choice in stage.choices] == [('invert', 0.0), ('rotate', 15.0)]


@pytest.mark.parametrize('brackets', ['[{}]', '{}'])
def test_a_policy_that_is_applied_to_a_part_of_the_images_keeps_its_share(tool, tmp_path, brackets):
    inner = "dict(type='AutoAugment', policies=[[dict(type='Invert', prob=1.0)]])"
    step = f"dict(type='RandomApply', prob=0.3, transforms={brackets.format(inner)})"
    (tmp_path / 'config.py').write_text(f'train_dataloader = dict(dataset=dict(pipeline=[{step}]))')
    tool.main([str(tmp_path / 'config.py'), str(tmp_path / 'p.json')])
    assert load_policy(tmp_path / 'p.json').probability == 0.3


def test_an_installed_config_is_found_by_its_name(tool, tmp_path):
    tool.main(['mmpretrain::swin_transformer/swin-tiny_16xb64_in1k.py', str(tmp_path / 'p.json')])
    policy = load_policy(tmp_path / 'p.json')
    assert policy.fill[0] > policy.fill[2]  # the mean colour as RGB
    assert len(policy.operations) == 15


def test_a_genotype_is_read_from_a_text(tool, tmp_path):
    path = tmp_path / 'genotype.txt'
    path.write_text("[[('Rotate', 0.5, 0.75)]]")
    tool.main([str(path), str(tmp_path / 'p.json')])
    assert load_policy(tmp_path / 'p.json').operations == ('rotate',)
    path = Path(path.rename(tmp_path / 'genotype.py'))
    path.write_text("A = [[('Rotate', 0.5, 0.75)]]\nB = [[('Invert', 0.5, 0.75)]]")
    tool.main([str(path), str(tmp_path / 'p.json'), '--genotype', 'B'])
    assert load_policy(tmp_path / 'p.json').operations == ('invert',)


@pytest.mark.parametrize(
    ('source', 'error', 'message'),
    [
        ('trivialaugment', ValueError, 'as --size 32 32'),
        ('autoaugment-mnist', FileNotFoundError, 'autoaugment-mnist is no name of --list, and there is no file'),
        ('mmpretrain::resnet/resnet18_8xb16_cifar10.py', ValueError, 'has 0 transforms AutoAugment or RandAugment'),
    ],
)
def test_what_has_no_policy_is_refused(tool, tmp_path, source, error, message):
    with pytest.raises(error, match=message):
        tool.main([source, str(tmp_path / 'p.json')])


def test_an_output_is_asked_for(tool, capsys):
    with pytest.raises(SystemExit):
        tool.main(['randaugment'])
    assert 'OUT.json' in capsys.readouterr().err
