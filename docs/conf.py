"""Settings of the documentation's site: ``make docs`` builds it into build/site.

The sources are the whole repository, so that the links of the pages lead to the same files here and on GitHub.
"""

from typing import TYPE_CHECKING

import mmdas

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project, author = 'mmdas', 'mmdas contributors'
copyright = 'mmdas contributors, Apache 2.0'
release = version = mmdas.__version__

extensions = ['myst_parser', 'sphinx.ext.autodoc', 'sphinx.ext.napoleon', 'sphinx.ext.viewcode']
root_doc = 'docs/README'
include_patterns = [
    '*.md',
    'docs/**',
    'benchmarks/*.md',
    'benchmarks/results/*.md',
    'configs/README.md',
    'configs/*/README.md',
    'zoo/*.md',
]
# Folders that are not even looked through.
exclude_patterns = ['.*', 'build', 'data', 'work_dirs', 'demo_out', 'findings', 'mmdas', 'tests', 'tools']

myst_heading_anchors = 4  # the anchors that GitHub gives headings
suppress_warnings = ['myst.header']  # pages that begin below the first level

autodoc_member_order = 'bysource'
autodoc_typehints, autodoc_typehints_description_target = 'description', 'documented'
autodoc_default_options = {'members': True, 'show-inheritance': True}
napoleon_google_docstring, napoleon_numpy_docstring = True, False

html_theme = 'furo'
html_title = f'mmdas {release}'
html_extra_path = ['site']  # index.html, which leads to the first page

# Heading -> pages. Each page of docs/ is in one of them: Sphinx warns of one that is not.
CONTENTS = {
    'Start': ['/README', 'installation', 'user_guide', 'components', 'files', 'look_at_runs', 'faq', 'conventions'],
    'Tutorials': [
        'tutorials/own_segmentation',
        'tutorials/own_classification',
        'tutorials/trained_checkpoint',
        'tutorials/ship',
    ],
    'Methods': [
        'operations',
        'aligned_fusion',
        'cheap_clips',
        'augmentation',
        'augmentation_search',
        'keep_augment',
        'mixing',
        'regularizers',
        'style',
        'distillation',
        'data_distillation',
        'test_time',
    ],
    'Tools': ['improve', 'compare', 'analysis', 'receptive_field', 'export', 'reliability'],
    'Other libraries': ['surprises'],
    'Measured': ['/benchmarks/accuracy', '/benchmarks/README', '/benchmarks/results/*'],
    'Configs': ['/configs/README', '/configs/*/README', '/zoo/README', 'coverage'],
    'Development': ['design', 'api/index', '/CONTRIBUTING', '/CHANGELOG'],
}


def add_contents(app: 'Sphinx', page: str, source: list[str]) -> None:
    """Add the contents to the first page, whose text on GitHub has links in their place."""
    if page == root_doc:
        for heading, pages in CONTENTS.items():
            source[0] += '\n'.join(
                ['\n```{toctree}', ':hidden:', ':glob:', f':caption: {heading}', '', *pages, '```\n']
            )


def setup(app: 'Sphinx') -> None:
    """Connect what is done while the sources are read."""
    app.connect('source-read', add_contents)
