# What every run of mmdas adds to the host's runtime.
custom_hooks = [dict(type='mmdas.LabelCheckHook')]
