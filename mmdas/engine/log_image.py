"""Images for the back ends of a visualizer, such as TensorBoard."""

from mmengine.dist import master_only
from mmengine.visualization import Visualizer
from numpy import ndarray

# Back ends that leave the step of an image out, so that the next one of its name takes its place. That of MLflow also
# takes the kind of file from the name (findings/mmengine_tracker_images_overwritten.sh).
BY_NAME = ('MLflowVisBackend', 'DVCLiveVisBackend')


@master_only
def log_image(visualizer: Visualizer, name: str, image: ndarray, step: int) -> None:
    """Give an image to all back ends of a visualizer.

    Args:
        visualizer: of a runner.
        name: of the image, without a kind of file.
        image: (H, W, 3), uint8, RGB.
        step: iteration that it belongs to.
    """
    for backend in visualizer._vis_backends.values():
        by_name = type(backend).__name__ in BY_NAME
        backend.add_image(f'{name}_{step}.png' if by_name else name, image, step=step)
