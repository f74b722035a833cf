"""What a search and an analysis of the receptive field add to the part of a run."""

from collections.abc import Mapping
from typing import Any

from mmdas.visualization.course_figure import Curve, edges_of

from .charts import line_chart
from .tables import folded_content, table

SIDES = ('height', 'width')


def search_part(curves: Mapping[str, Curve]) -> str:
    """The entropy of the mixtures, and folded below it the weights on each edge; empty text without a search."""
    if not curves:
        return ''
    edges = edges_of(curves)
    shown = {name: curve for name, curve in curves.items() if not name.startswith('edge_')}
    charts = [line_chart(f'weights on the edge {edge}', weights, 'iteration') for edge, weights in edges.items()]
    main = line_chart('the policy over the search', shown, 'iteration')
    return main + (folded_content('mixtures over the search', ''.join(charts)) if charts else '')


def field_part(found: Mapping[str, Any]) -> str:
    """The receptive field in theory and as it was measured; empty text where it was not."""
    if not found:
        return ''
    stages = [[stage['stage'], *(stage[side] or 'all' for side in SIDES), stride(stage)] for stage in found['theory']]
    shapes = [
        [name, shape['area'], shape['radii']['0.5'], shape['aspect'], shape['orientation']]
        for name, shape in found['measured'].items()
    ]
    head = ('measured', 'pixels of 95 %', 'radius of 50 %', 'aspect', 'long axis, degrees')
    curves = {name: shape['curve'] for name, shape in found['measured'].items()}
    clip, seen = found['clip'], ''
    if clip is not None:
        seen = f'<p>In theory the {clip["frames"]} frames see {clip["union"]} pixels, one {clip["reference"]}.</p>'
    height, width = found['size']
    return (
        f'<h3>Receptive field, images of {height} x {width}</h3>'
        + table(('stage, in theory', *SIDES, 'stride'), stages)
        + seen
        + table(head, shapes)
        + line_chart('share of the mass within the radius', curves, 'radius, pixels')
    )


def stride(stage: Mapping[str, Any]) -> str:
    """Stride of a stage; empty for tokens."""
    return '' if stage['stride'] is None else str(max(stage['stride']))
