"""The Ray engine on an S3 store: its workers read photos and write shards there themselves."""

from typing import Any

import pytest

from pipelines.jobs.generation import generate_pairs

ray = pytest.importorskip("ray", reason="needs the extra [ray]")
pytestmark = pytest.mark.slow
OPTIONS = {"size_px": 32, "shard_size": 4, "batch_size": 4, "device": "cpu", "limit": 12}


def test_a_cluster_makes_the_same_pairs_in_a_store(s3: Any, drawn, tiny_generator):
    s3.put(str(drawn), "work/fairface", recursive=True)
    generate_pairs("s3://work/fairface", "s3://work/local", tiny_generator, workers=1, **OPTIONS)
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        out = "s3://work/ray"
        made = generate_pairs("s3://work/fairface", out, tiny_generator, engine="ray", workers=2, **OPTIONS)
    finally:
        ray.shutdown()
    assert made.n_pairs > 0
    there = {key.partition("/ray/")[2]: s3.cat_file(key) for key in s3.find("work/ray")}
    assert there == {key.partition("/local/")[2]: s3.cat_file(key) for key in s3.find("work/local")}
