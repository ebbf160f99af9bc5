"""The training launcher: CLIP, a projector and GPT-oss trained with DeepSpeed ZeRO-3 on shards, stage after stage."""
