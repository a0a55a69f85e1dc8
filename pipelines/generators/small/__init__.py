"""The embedded generator: a StyleGAN2 decoder with W+ and a spatial code, 256 px, made for two CPU cores."""

from pipelines.generators.small.model import SMALL_WEIGHTS, SmallGenerator, is_small

__all__ = ["SMALL_WEIGHTS", "SmallGenerator", "is_small"]
