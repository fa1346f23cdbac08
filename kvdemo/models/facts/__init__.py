"""What a model's configuration and its tensors say: cache shape, context, parameters, rotary positions."""
