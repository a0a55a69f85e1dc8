"""How the small embedded generator was trained; nothing in the audit's own path imports this.

Run in order: `python -m pipelines.training.crops`, `python -m pipelines.training.small`,
`python -m pipelines.training.mean_latent`, `python -m pipelines.training.evaluate`; the exact calls stand in
`pipelines/weights/README.md`.
"""
