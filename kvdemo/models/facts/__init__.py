"""Read facts of a model from its configuration and its tensors: cache shape, context, parameters, rotary positions."""
