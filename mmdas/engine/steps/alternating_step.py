"""The step of DAS: first-order DARTS (Liu et al., ICLR 2019)."""

from torch import Tensor

from mmdas.registry import TASK_UTILS

from .search_step import Batch, SearchStep


@TASK_UTILS.register_module()
class AlternatingStep(SearchStep):
    """Step the policy on the one batch, the weights held fixed, and then the weights on the other. Two passes."""

    def search(self, policy_batch: Batch, weights_batch: Batch) -> dict[str, Tensor]:
        policy = self.update('policy', policy_batch)
        weights = self.update('weights', weights_batch)
        return {**weights, **{f'policy_{name}': value for name, value in policy.items()}}
