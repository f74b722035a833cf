# What the search configs share; they take it with {{_base_.NAME}}. The segmentation searches train the weights with
# their host's own optimiser instead, as the training with the policy does.
# The paper's optimisers (first-order DARTS), without Adam's decay of 1e-3 for the logits, which keeps every
# mixture almost uniform. A search of a few hundred iterations needs larger steps.
weights_optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.025, momentum=0.9, weight_decay=3e-4),
    clip_grad=dict(max_norm=5),
)
policy_optimizer = dict(type='Adam', lr=3e-4, betas=(0.5, 0.999))
quick_policy_optimizer = dict(type='Adam', lr=1e-2, betas=(0.5, 0.999))
# Four times their rates, for fast searches.
fast_policy_optimizer = dict(type='Adam', lr=1.2e-3, betas=(0.5, 0.999))
fast_quick_policy_optimizer = dict(type='Adam', lr=4e-2, betas=(0.5, 0.999))
# The authors' ranges per step of distance suit short clips; half of them keep the outer frames of T = 4 and 8 in view.
half_ranges = dict(translate_x=(-0.06, 0.06), translate_y=(-0.06, 0.06), rotate=(-10.0, 10.0), scale=(-0.15, 0.15))
search_hooks = [
    dict(type='mmdas.SearchProgressHook'),
    dict(type='mmdas.PolicyHook', interval=10),
]
