"""Figures of articles with captions."""

import json
from collections.abc import Callable
from pathlib import Path

from tests.sources.corpora_fixtures.writing import (
    csv_text,
    picture,
    put,
    put_json,
    put_jsonl,
    put_parquet,
    put_pictures,
    put_tar,
)

PANELS = ("PMC1000001_Fig1_1.jpg", "PMC1000001_Fig1_2.jpg", "PMC1000002_Fig3_4.jpg")
ARTICLE = """<?xml version="1.0"?>
<article xmlns:xlink="http://www.w3.org/1999/xlink" article-type="research-article"><front><article-meta>
<article-id pub-id-type="pmcid">PMC1000009</article-id><article-id pub-id-type="pmid">30000009</article-id>
<title-group><article-title>A made-up article</article-title></title-group>
<permissions><license><ali:license_ref xmlns:ali="http://www.niso.org/schemas/ali/1.0/">\
https://creativecommons.org/licenses/by/4.0/</ali:license_ref></license></permissions>
</article-meta></front><body><fig id="f1"><label>Figure 1</label><caption><p>A made-up film of a made-up chest.</p>\
</caption><graphic xlink:href="made-up-g001.jpg"/></fig></body></article>
"""


def _pmc_oa(data: Path) -> None:
    """The cloud layout of 2026: a folder an article version, XML, JSON of its facts and media as single files."""
    folder = data / "pmc-oa-opendata/PMC1000009.1"
    put(folder / "PMC1000009.1.xml", ARTICLE)
    facts = {"pmcid": "PMC1000009", "version": 1, "license_code": "CC BY", "is_retracted": False}
    put_json(folder / "PMC1000009.1.json", facts)
    put(folder / "PMC1000009.1.txt", "A made-up article")
    put(folder / "made-up-g001.jpg", picture(9))


def _pmc_oa_jsonl(data: Path) -> None:
    rows = [
        {"image": name, "caption": f"Caption of {name[:10]}.", "pmcid": name[:10], "url_name": "x.jpg"}
        for name in PANELS
    ]
    put_jsonl(data / "PMC-OA/pmc_oa.jsonl", rows)
    put_pictures(data / "PMC-OA/images", PANELS)


def _pmc_oa_beta(data: Path) -> None:
    """Panels, each with the caption of its whole figure."""
    rows = [
        {"image": name, "caption": "(A) One panel. (B) Another.", "pmcid": name[:10], "url_name": "x.jpg"}
        for name in PANELS
    ]
    put_jsonl(data / "PMC-OA-beta/pmc_oa_beta.jsonl", rows)
    put_pictures(data / "PMC-OA-beta/images", PANELS)


def _rocov2(data: Path) -> None:
    for split, first in (("train", 0), ("validation", 2), ("test", 4)):
        rows = [
            {
                "image": picture(n),
                "image_id": f"ROCOv2_2023_{split}_{n:06}",
                "caption": f"Made-up CT, slice {n}.",
                "cui": ["C0040405"],
            }
            for n in range(first, first + 2)
        ]
        put_parquet(data / f"ROCOv2-radiology/data/{split}-00000-of-00001.parquet", rows)


def _quilt_1m(data: Path) -> None:
    """A nameless first column, lists as Python literals, an empty text."""
    names = ("a_1.jpg", "b_2.jpg", "c_3.jpg")
    rows = [
        {
            "": n,
            "caption": f'Made-up tissue {n},\nin "two" lines.',
            "image_path": name,
            "subset": subset,
            "split": "val" if n == 2 else "train",
            "pathology": "['Breast pathology']",
            "roi_text": "[]",
            "noisy_text": "",
            "corrected_text": "",
            "med_umls_ids": "[]",
            "magnification": "1.0",
            "height": 80,
            "width": 72,
        }
        for n, (name, subset) in enumerate(zip(names, ("quilt", "pubmed", "openpath"), strict=True))
    ]
    put(data / "quilt_1m/quilt_1M_lookup.csv", csv_text(rows))
    put_pictures(data / "quilt_1m/quilt_1m", names)


def _medicat(data: Path) -> None:
    """Some articles have no licence, and some figures no caption of S2ORC."""
    rows = []
    for n, license_id in enumerate(("cc-by", None, "cc-by-nc-nd")):
        oa = {"is_oa": True, "oa_status": "gold", "license": license_id, "provenance": "unpaywall"}
        rows.append(
            {
                "pdf_hash": f"{n:040x}",
                "fig_key": "Figure1",
                "fig_uri": f"{n}-Figure1-1.png",
                "s2_caption": f"Figure 1. Made-up scan {n}.",
                "s2orc_caption": None if n == 1 else f"Figure 1. Made-up scan {n}.",
                "s2orc_references": [f"See Figure 1 ({n})."],
                "radiology": True,
                "scope": False,
                "predicted_type": "Medical images",
                "oa_info": {"doi": f"10.1000/{n}", "oa": oa},
            }
        )
    put_jsonl(data / "medicat/s2_full_figures_oa_nonroco_combined_medical_top4_public.jsonl", rows)
    put_pictures(data / "medicat/figures", [f"{row['pdf_hash']}_{row['fig_uri']}" for row in rows])


def _llava_med(file: str, spellings: tuple[str, ...]) -> Callable[[Path], None]:
    def make(data: Path) -> None:
        rows = [
            {
                "id": f"1750689{n}_F{n}",
                "image": f"1750689{n}_F{n}.jpg",
                "domain": {"chest_xray": True, "mri": False},
                spelling: [
                    {"from": "human", "value": "Describe the image.\n<image>"},
                    {"from": "gpt", "value": f"Made-up film {n}."},
                ],
            }
            for n, spelling in enumerate(spellings)
        ]
        put_json(data / "LLaVA-Med/data" / file, rows)
        put_pictures(data / "LLaVA-Med/data/images", [row["image"] for row in rows])

    return make


def _pubmedvision(file: str) -> Callable[[Path], None]:
    def make(data: Path) -> None:
        """One picture or several, under the folder `images`."""
        rows = []
        for n, pictures in enumerate((1, 3)):
            names = [f"images/pmc_{n}_{k}.jpg" for k in range(pictures)]
            told = [
                {"from": "human", "value": "What is shown?"},
                {"from": "gpt", "value": f"Made-up scans, {n}, of {file}."},
            ]
            rows.append(
                {
                    "id": f"pmc_{n}",
                    "image": names,
                    "conversations": told,
                    "modality": "Computed Tomography",
                    "body_part": "Chest",
                }
            )
            put_pictures(data / "PubMedVision", names)
        put_json(data / "PubMedVision" / file, rows)

    return make


def _biomedica(data: Path) -> None:
    """A licence an article, and a figure without a caption."""
    members: dict[str, bytes] = {}
    for n, license_id in enumerate(("CC BY", "CC BY-NC", "CC0")):
        facts = {
            "image_file_name": f"made-up-g{n:03}.jpg",
            "image_cluster_id": f"c{n}",
            "image_panel_type": "single",
            "image_primary_label": ["Clinical Imaging"],
            "article_accession_id": f"PMC200000{n}",
            "article_title": "A made-up article",
            "article_license": license_id,
        }
        caption = "No caption found" if n == 2 else f"Made-up figure {n}."
        members |= {
            f"{n:06}.jpg": picture(n),
            f"{n:06}.json": json.dumps(facts).encode(),
            f"{n:06}.txt": caption.encode(),
        }
    put_tar(data / "biomedica_webdataset_24M/commercial/000000.tar", members)


MAKERS: dict[str, Callable[[Path], None]] = {
    "pmc_oa": _pmc_oa,
    "pmc_oa_jsonl": _pmc_oa_jsonl,
    "pmc_oa_beta": _pmc_oa_beta,
    "rocov2": _rocov2,
    "quilt_1m": _quilt_1m,
    "medicat": _medicat,
    "llava_med_alignment": _llava_med("alignment/llava_med_alignment_500k.json", ("conversations", "conversatons")),
    "llava_med_instruct": _llava_med(
        "instruct/llava_med_instruct_60k_inline_mention.json", ("conversatons", "conversatons", "conversations")
    ),
    "pubmedvision_alignment": _pubmedvision("PubMedVision_Alignment_VQA.json"),
    "pubmedvision_instruct": _pubmedvision("PubMedVision_InstructionTuning_VQA.json"),
    "biomedica": _biomedica,
}
