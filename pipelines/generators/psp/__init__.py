"""The pSp generator: `load_psp(path)` gives an object that encodes faces and decodes fakes.

Our own PyTorch implementation of pixel2style2pixel (Richardson et al. 2021) and StyleGAN2's synthesis
network (Karras et al. 2020); it loads the official checkpoints key for key. Upstream is a git submodule in
`third_party/`, used only as a reference to compare with.
"""

from pipelines.generators.psp.model import PSP, load_psp

__all__ = ["PSP", "load_psp"]
