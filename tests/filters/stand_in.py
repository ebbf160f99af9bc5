"""A stand-in of BiomedCLIP: its architecture, 600,000 random weights, and files as published."""

import hashlib
import json
import string
from pathlib import Path

from filters.biomedclip import offline


def write_stand_in(place: Path) -> Path:
    """Write the files into a folder, which is returned."""
    import open_clip
    import torch
    from transformers import BertConfig, BertTokenizerFast

    letters = string.ascii_lowercase + string.digits
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{one}" for one in letters), "-", "photo"]
    sizes = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 128}
    BertConfig(vocab_size=len(words), **sizes).save_pretrained(place)
    vocabulary = {word: number for number, word in enumerate(words)}
    BertTokenizerFast(vocab=vocabulary, do_lower_case=True, model_max_length=256).save_pretrained(place)
    text = {
        "hf_model_name": "microsoft/not-here", "hf_tokenizer_name": "microsoft/not-here", "hf_proj_type": "mlp",
        "hf_pooler_type": "cls_last_hidden_state_pooler", "context_length": 256,
    }  # fmt: skip
    vision = {
        "timm_model_name": "test_vit", "timm_model_pretrained": False, "timm_pool": "", "timm_proj": "linear",
        "image_size": 160,
    }  # fmt: skip
    config = {
        "model_cfg": {"embed_dim": 512, "vision_cfg": vision, "text_cfg": text},
        "preprocess_cfg": {"mean": [0.48, 0.46, 0.41], "std": [0.27, 0.26, 0.28]},
    }
    (place / "open_clip_config.json").write_text(json.dumps(config))
    torch.manual_seed(0)
    own = {**text, "hf_model_name": str(place), "hf_model_pretrained": False}
    with offline():
        model = open_clip.create_model(f"local-dir:{place}", load_weights=False, pretrained_text=False, text_cfg=own)
    torch.save(model.state_dict(), place / "open_clip_pytorch_model.bin")
    return place


def sha256_of(directory: Path) -> str:
    return hashlib.sha256((directory / "open_clip_pytorch_model.bin").read_bytes()).hexdigest()
