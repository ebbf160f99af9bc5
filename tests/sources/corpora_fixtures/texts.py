"""Medical and general text, and general conversations about pictures."""

from collections.abc import Callable
from pathlib import Path

from tests.sources.corpora_fixtures.writing import picture, put_json, put_jsonl, put_parquet, put_pictures


def _medqa(data: Path) -> None:
    rows = [
        {
            "question": f"A made-up patient {n}?",
            "answer": "Two",
            "options": {"A": "One", "B": "Two", "C": "Three", "D": "Four"},
            "meta_info": "step1",
            "answer_idx": "B",
            "metamap_phrases": [],
        }
        for n in range(2)
    ]
    for split in ("train", "test"):
        put_jsonl(data / f"MedQA-USMLE-4-options/phrases_no_exclude_{split}.jsonl", rows)


def _medmcqa(data: Path) -> None:
    """Answers from 0; those of the test split are -1."""
    for split, answers in (("train", (0, 3)), ("validation", (1,)), ("test", (-1,))):
        rows = [
            {
                "id": f"{split}{n}",
                "question": f"Which made-up {n}?",
                "opa": "One",
                "opb": "Two",
                "opc": "Three",
                "opd": "Four",
                "cop": answer,
                "choice_type": "single",
                "exp": None if n else "Because it is made up.",
                "subject_name": "Anatomy",
                "topic_name": None,
            }
            for n, answer in enumerate(answers)
        ]
        put_parquet(data / f"medmcqa/data/{split}-00000-of-00001.parquet", rows)


def _pubmedqa(data: Path) -> None:
    """The hub's form of the 1,000 labelled items, with the list of those of the test half."""
    context = {"contexts": ["Made-up background.", "Made-up results."], "labels": ["BACKGROUND", "RESULTS"]}
    rows = [
        {
            "pubid": 21645374 + n,
            "question": f"Is made-up {n} so?",
            "context": context,
            "long_answer": "It may be.",
            "final_decision": "maybe",
        }
        for n in range(2)
    ]
    put_parquet(data / "PubMedQA/pqa_labeled/train-00000-of-00001.parquet", rows)
    put_json(data / "PubMedQA/test_ground_truth.json", {"21645375": "maybe"})


def _healthcaremagic(data: Path) -> None:
    rows = [
        {
            "instruction": "If you are a doctor, please answer.",
            "input": f"I have made-up pain {n}.",
            "output": "Hello. Rest.",
        }
        for n in range(2)
    ]
    put_parquet(data / "ChatDoctor-HealthCareMagic-100k/data/train-00000-of-00001-5e7cb295b9cff0bf.parquet", rows)


def _icliniq(data: Path) -> None:
    """Training data in a split called `test`."""
    rows = [
        {
            "input": f"Hello doctor, made-up {n}.",
            "answer_icliniq": "Hi.",
            "answer_chatgpt": "As an AI",
            "answer_chatdoctor": "Hi",
        }
        for n in range(2)
    ]
    put_parquet(data / "ChatDoctor-iCliniq/data/test-00000-of-00001-0b7b4d4f5c0d2f1b.parquet", rows)


def _medical_o1_sft(data: Path) -> None:
    rows = [
        {"Question": f"Made-up question {n}?", "Complex_CoT": "Let me think.", "Response": "Made up."} for n in range(2)
    ]
    put_json(data / "medical-o1-reasoning-SFT/medical_o1_sft.json", rows)


def _medical_o1_verifiable(data: Path) -> None:
    rows = [{"Open-ended Verifiable Question": f"Made-up {n}?", "Ground-True Answer": "Made up"} for n in range(2)]
    put_json(data / "medical-o1-verifiable-problem/medical_o1_verifiable_problem.json", rows)


def _medreason(data: Path) -> None:
    """Options as one text, and none in some rows."""
    rows = [
        {
            "dataset_name": "medmcqa",
            "id_in_dataset": 7,
            "question": "Which made-up one?",
            "options": "Answer Choices:\nA. One\nB. Two\nC. Three\nD. Four",
            "answer": "Two. Explanation: made up.",
            "reasoning": "Finding reasoning paths:\n1. Made up.",
        },
        {
            "dataset_name": "huatuo",
            "id_in_dataset": "h8",
            "question": "Why?",
            "options": "",
            "answer": "Made up.",
            "reasoning": "Because.",
        },
    ]
    put_jsonl(data / "MedReason/ours_quality_33000.jsonl", rows)


def _pmc_llama_instructions(data: Path) -> None:
    rows = [
        {
            "source": "medmcqa",
            "instruction": "Answer this.",
            "input": "###Question: Made up?",
            "output": "A",
            "sample_id": n,
        }
        for n in range(2)
    ]
    put_parquet(data / "pmc_llama_instructions/data/train-00000-of-00001.parquet", rows)


def _alpacare(data: Path) -> None:
    """Instructions without input say `<noinput>`."""
    rows = [
        {
            "instruction": f"Explain made-up {n}.",
            "input": "<noinput>" if n else "For a child.",
            "output": "It is made up.",
        }
        for n in range(2)
    ]
    put_json(data / "AlpaCare/data/MedInstruct-52k.json", rows)


def _guidelines(data: Path) -> None:
    rows = [
        {
            "id": f"g{n}",
            "source": "who",
            "title": "A made-up guideline",
            "clean_text": f"Wash made-up hands, {n}.",
            "raw_text": "raw",
            "url": None,
            "overview": None,
        }
        for n in range(2)
    ]
    put_jsonl(data / "guidelines/open_guidelines.jsonl", rows)


def _llava_instruct(data: Path) -> None:
    """Some conversations have no picture, and ids repeat."""
    told = [{"from": "human", "value": "<image>\nWhat is it?"}, {"from": "gpt", "value": "A made-up cat."}]
    rows = [
        {"id": "000000000009", "image": "coco/train2017/000000000009.jpg", "conversations": told},
        {"id": "000000000009", "image": "vg/VG_100K/9.jpg", "conversations": told},
        {
            "id": "wgByO4Y_0",
            "model": "",
            "conversations": [{"from": "human", "value": "Hello"}, {"from": "gpt", "value": "Hi."}],
        },
    ]
    put_json(data / "LLaVA-Instruct/llava_v1_5_mix665k.json", rows)
    put_pictures(data / "LLaVA-Instruct", [rows[0]["image"], rows[1]["image"]])


def _allava(data: Path) -> None:
    """Pictures named from the top of the repository."""
    for file in ("ALLaVA-Caption-LAION-4V.json", "ALLaVA-Instruct-LAION-4V.json"):
        told = [{"from": "human", "value": "<image>\nDescribe."}, {"from": "gpt", "value": f"A made-up dog of {file}."}]
        row = {
            "id": "allava_laion_0",
            "image": "allava_laion/images/100181484.jpeg",
            "conversations": told,
            "url": "https://x.test",
        }
        put_json(data / "ALLaVA-4V/allava_laion" / file, [row])
    put_pictures(data / "ALLaVA-4V", ["allava_laion/images/100181484.jpeg"])


def _pixmo_cap(data: Path) -> None:
    rows = [
        {
            "image": picture(n),
            "image_url": f"https://x.test/{n}.jpg",
            "caption": f"Made-up hill {n}.",
            "transcripts": ["um"],
        }
        for n in range(2)
    ]
    put_parquet(data / "pixmo-cap-images/data/train-00000-of-00001.parquet", rows)


def _openhermes(data: Path) -> None:
    """System turns, and columns that are null in most rows."""
    told = [{"from": "human", "value": "Hello"}, {"from": "gpt", "value": "Hi."}]
    rows = [
        {
            "id": None,
            "source": "airoboros2.2",
            "category": "orca",
            "skip_prompt_formatting": False,
            "conversations": told,
        },
        {"id": "x", "source": None, "conversations": [{"from": "system", "value": "Be made up."}, *told]},
    ]
    put_json(data / "OpenHermes-2.5/openhermes2_5.json", rows)


MAKERS: dict[str, Callable[[Path], None]] = {
    "medqa": _medqa,
    "medmcqa": _medmcqa,
    "pubmedqa": _pubmedqa,
    "healthcaremagic": _healthcaremagic,
    "icliniq": _icliniq,
    "medical_o1_sft": _medical_o1_sft,
    "medical_o1_verifiable": _medical_o1_verifiable,
    "medreason": _medreason,
    "pmc_llama_instructions": _pmc_llama_instructions,
    "alpacare": _alpacare,
    "guidelines": _guidelines,
    "llava_instruct": _llava_instruct,
    "allava": _allava,
    "pixmo_cap": _pixmo_cap,
    "openhermes": _openhermes,
}
