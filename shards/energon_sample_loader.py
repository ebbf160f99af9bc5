"""How Megatron-Energon makes a sample of these shards: the turns' texts with the pictures where they belong.

Energon runs this file as `.nv-meta/sample_loader.py`, beside the shards, where nothing of curate is installed: it
imports nothing. It is what the default `dataset.yaml` names. Who writes prompts of their own takes `crude.yaml`,
which hands over `{key}.json` and the pictures as they are.
"""

PLACEHOLDER = "<image>"


def sample_loader(raw: dict) -> dict:  # type: ignore[type-arg] # Energon's own signature; names of `typing` cost an import
    """Return `sequence`: strings (each turn begins with its role) and pictures as Energon decoded them."""
    content = raw["json"]
    pictures = iter([raw[image["member"]] for image in content["images"]])
    sequence = []
    for turn in content["turns"]:
        first, *others = turn["text"].split(PLACEHOLDER)
        sequence.append(f"{turn['role']}: {first}")
        for text in others:
            sequence.append(next(pictures))
            if text:
                sequence.append(text)
    return {"sequence": sequence}


def part_filter(part: str) -> bool:
    """Say that every member of a sample is needed."""
    return bool(part)
