"""Questions about pictures."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
from datasets import Features, Image, List, Value

from tests.sources.corpora_fixtures.writing import csv_text, picture, put, put_json, put_parquet, put_pictures

PANELS = ("PMC3000001_Fig1_1.jpg", "PMC3000002_Fig2_3.jpg")


def _pmc_vqa(data: Path) -> None:
    """Choices with their letters in front, in a file whose answer is spelt as its README spells it."""
    for file, answer in (("train.csv", "Answer"), ("test.csv", "Anwser"), ("test_clean.csv", "Answer")):
        rows = [
            {
                "Figure_path": name,
                "Question": " What is shown? ",
                answer: "A made-up lung",
                "Choice A": "A:A made-up lung ",
                "Choice B": "B:A liver",
                "Choice C": "C:A heart",
                "Choice D": "D:A bone",
                "Answer_label": "A",
            }
            for name in PANELS
        ]
        put(data / "PMC-VQA" / file, csv_text(rows))
    put_pictures(data / "PMC-VQA/images", PANELS)


def _pmc_vqa_v2(data: Path) -> None:
    for file, split in (("train_2.csv", "train"), ("test_2.csv", "test")):
        rows = [
            {
                "index": n,
                "Figure_path": f"PMC300000{n}_Fig1.jpg",
                "Caption": "A made-up caption.",
                "Question": f"What is {n}?",
                "Choice A": "One",
                "Choice B": "Two",
                "Choice C": "Three",
                "Choice D": "Four",
                "Answer": "B",
                "split": split,
            }
            for n in range(2)
        ]
        put(data / "PMC-VQA" / file, csv_text(rows))
    put_pictures(data / "PMC-VQA/figures", [f"PMC300000{n}_Fig1.jpg" for n in range(2)])


def _slake(data: Path) -> None:
    """English and Chinese questions of one picture, which stands in a folder of its case."""
    for split, case in (("train", 1), ("validate", 2), ("test", 1)):
        rows = [
            {
                "img_id": case,
                "img_name": f"xmlab{case}/source.jpg",
                "question": question,
                "answer": answer,
                "q_lang": lang,
                "location": "Lung",
                "modality": "X-Ray",
                "answer_type": "OPEN",
                "base_type": "vqa",
                "content_type": "Organ",
                "triple": ["vhead", "_", "_"],
                "qid": 10 * case + n,
            }
            for n, (question, answer, lang) in enumerate(
                (("Which organ?", "Lung", "en"), ("这是什么器官？", "肺", "zh"))
            )
        ]
        put_json(data / f"Slake1.0/{split}.json", rows)
        put_pictures(data / "Slake1.0/imgs", [f"xmlab{case}/source.jpg"])


def _vqa_rad(data: Path) -> None:
    """The hub's form: no ids and no names, so no cases."""
    for split, first in (("train", 0), ("test", 2)):
        rows = [{"image": picture(n), "question": "is it normal?", "answer": "yes"} for n in range(first, first + 2)]
        put_parquet(data / f"vqa-rad/data/{split}-00000-of-00001-e5bc3d208bb4deeb.parquet", rows)


def _path_vqa(data: Path) -> None:
    for split, first in (("train", 0), ("validation", 2), ("test", 4)):
        rows = [
            {"image": picture(n), "question": "where is it?", "answer": "in a made-up duct"}
            for n in range(first, first + 2)
        ]
        put_parquet(data / f"path-vqa/data/{split}-00000-of-00001.parquet", rows)


def _vqa_med_2019(data: Path) -> None:
    """Lines of three fields in training, of four in the test, whose answer may be several."""
    top = data / "VQA-Med-2019"
    for folder, file, pictures, n in (
        ("ImageClef-2019-VQA-Med-Training", "All_QA_Pairs_train.txt", "Train_images", 1),
        ("ImageClef-2019-VQA-Med-Validation", "All_QA_Pairs_val.txt", "Val_images", 2),
    ):
        put(
            top / folder / file, f'synpic4000{n}|what modality is this?|xr - plain film\nsynpic4000{n}|is it "ct"?|no\n'
        )
        put_pictures(top / folder / pictures, [f"synpic4000{n}.jpg"])
    put(top / "VQAMed2019Test/VQAMed2019_Test_Questions_w_Ref_Answers.txt", "synpic40003|plane|in which plane?|axial\n")
    put_pictures(top / "VQAMed2019Test/VQAMed2019_Test_Images", ["synpic40003.jpg"])


def _vqa_med_2020(data: Path) -> None:
    top = data / "VQA-Med-2020/VQA-Med-2020-Task1-VQAnswering-TrainVal-Sets"
    for folder, file, pictures, n in (
        (
            "VQAMed2020-VQAnswering-TrainingSet",
            "VQAnswering_2020_Train_QA_pairs.txt",
            "VQAnswering_2020_Train_images",
            1,
        ),
        ("VQAMed2020-VQAnswering-ValidationSet", "VQAnswering_2020_Val_QA_Pairs.txt", "VQAnswering_2020_Val_images", 2),
    ):
        put(top / folder / file, f"synpic5000{n}|what abnormality is seen?|a made-up one\n")
        put_pictures(top / folder / pictures, [f"synpic5000{n}.jpg"])


def _vqa_med_2021(data: Path) -> None:
    top = data / "VQA-Med-2021/VQA-Med-2021-Tasks-1-2-NewValidationSets"
    put(
        top / "VQA-Med-2021-VQAnswering-Task1-New-ValidationSet.txt",
        "synpic60001|what is abnormal in the ct scan?|a made-up node\n",
    )
    put_pictures(top / "ImageCLEF-2021-VQA-Med-New-Validation-Images", ["synpic60001.jpg"])


def _omnimedvqa(data: Path) -> None:
    """Two options in one file, four in the other; one entry says `modality` for `modality_type`."""
    top = data / "OmniMedVQA"
    names = ["Images/Made_up/a.png", "Images/Made_up/b.png"]
    common = {"dataset": "Made up", "question_type": "Modality Recognition"}
    two = [
        {
            **common,
            "question_id": "m_0",
            "question": "Is it CT?",
            "gt_answer": "Yes",
            "image_path": names[0],
            "option_A": "No",
            "option_B": "Yes",
            "modality_type": "CT",
        }
    ]
    four = [
        {
            **common,
            "question_id": "m_1",
            "question": "What is it?",
            "gt_answer": "MR",
            "image_path": names[1],
            "option_A": "CT",
            "option_B": "MR",
            "option_C": "X-ray",
            "option_D": "OCT",
            "modality": "MR",
        }
    ]
    put_json(top / "QA_information/Open-access/Two.json", two)
    put_json(top / "QA_information/Open-access/Chest CT Scan.json", four)
    put_pictures(top, names)


def _kvasir_vqa(data: Path) -> None:
    """One split, called `raw`; several questions of a picture."""
    rows = [
        {
            "image": picture(n // 2),
            "source": "Made up",
            "question": f"Question {n}?",
            "answer": "yes",
            "img_id": f"cl8k2u1p{n // 2}",
        }
        for n in range(4)
    ]
    put_parquet(data / "Kvasir-VQA/data/raw-00000-of-00001.parquet", rows)


def _ubench(data: Path) -> None:
    """Arrow of the hub, a mapping of questions in each row, some of them null."""
    question = {
        "question": "What is the modality?",
        "options": ["light", "electron", "none of the above"],
        "answer": "light",
        "id": "q",
    }
    rows = [
        {
            "image_id": f"u{n}",
            "image": {"bytes": picture(n, "PNG"), "path": None},
            "label": 0,
            "dataset": "made_up_2024",
            "domain": "biology",
            "license": "CC-BY-4.0",
            "pmid": 30000000 + n,
            "modality": "light",
            "stain": None,
            "questions": {"modality": question, "stain": None if n == 0 else question},
        }
        for n in range(2)
    ]
    asked = {
        "question": Value("string"),
        "options": List(Value("string")),
        "answer": Value("string"),
        "id": Value("string"),
    }
    text = ("image_id", "dataset", "domain", "license", "modality", "stain")
    features = Features(
        {
            **{name: Value("string") for name in text},
            "image": Image(),
            "label": Value("int64"),
            "pmid": Value("int64"),
            "questions": {"modality": asked, "stain": asked},
        }
    )
    table = pa.Table.from_pylist(rows, schema=features.arrow_schema)
    folder = data / "uBench/perception/0.1.0"
    folder.mkdir(parents=True)
    with (
        pa.OSFile(str(folder / "ubench-test-00000-of-00001.arrow"), "wb") as file,
        pa.ipc.new_stream(file, table.schema) as writer,
    ):
        writer.write_table(table)
    put_json(folder / "dataset_info.json", {"license": "CC-BY-SA-4.0"})
    put(data / "uBench/README.md", "---\nlicense: cc-by-sa-4.0\n---\n")


def _mimic_cxr_vqa(data: Path) -> None:
    """Answers are lists, and may be empty; the pictures are MIMIC-CXR-JPG's."""
    name = "p10/p10000032/s50414267/02aa804e-bde0afdd-112c0b34-7bc16630-4e384014.jpg"
    top = data / "mimic-cxr-jpg"
    for split in ("train", "valid", "test"):
        rows = [
            {
                "split": split,
                "idx": n,
                "image_id": "02aa804e",
                "question": f"is there made-up finding {n}?",
                "content_type": "presence",
                "semantic_type": "verify",
                "template": "is there ${attribute}?",
                "template_program": "program_1",
                "template_arguments": {},
                "answer": answer,
                "subject_id": "10000032",
                "study_id": "50414267",
                "image_path": name,
            }
            for n, answer in enumerate((["yes"], ["left lung", "right lung"], []))
        ]
        put_json(top / f"MIMIC-Ext-MIMIC-CXR-VQA/dataset/{split}.json", rows)
    put_pictures(top / "files", [name])


MAKERS: dict[str, Callable[[Path], None]] = {
    "pmc_vqa": _pmc_vqa,
    "pmc_vqa_v2": _pmc_vqa_v2,
    "slake": _slake,
    "vqa_rad": _vqa_rad,
    "path_vqa": _path_vqa,
    "vqa_med_2019": _vqa_med_2019,
    "vqa_med_2020": _vqa_med_2020,
    "vqa_med_2021": _vqa_med_2021,
    "omnimedvqa": _omnimedvqa,
    "kvasir_vqa": _kvasir_vqa,
    "ubench": _ubench,
    "mimic_cxr_vqa": _mimic_cxr_vqa,
}
