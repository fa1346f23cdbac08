"""Choose the next token from a model's scores: one file a rule.

Strategies differ in how they compute a token's scores; samplers in what is done with them. Each rule is a `Sampler`
(`base`), found by reading its source (`registry`); the ones of a lane are a `Rule` (`rule`).
"""

from kvdemo.samplers.registry import SEED, SamplerInfo, introductions, options
from kvdemo.samplers.rule import Rule

__all__ = ["SEED", "Rule", "SamplerInfo", "introductions", "options"]
