"""Sentences of clinical notes with names of many origins, written before the rules that are measured on them.

Half of the sentences and of the names are for making rules (`held_out` False), the others only for measuring. Nothing
here is of a real person.
"""

import random

from tests.filters.planted_texts import FINDINGS, Planted

GIVEN = """
    Olumide Chiamaka Folasade Kofi Abena Wanjiru Otieno Tendai Nomvula Thandiwe Haile Selamawit Zewditu Amadou Fatoumata
    Moussa Aminata Youssef Khadija Tariq Leila Samira Zainab Bilal Farhad Shirin Parisa Kaveh Emre Aylin Zeynep Cengiz
    Murat Aditi Rohan Kavitha Lakshmi Suresh Meenakshi Debashish Sutapa Gurpreet Harjit Manjeet Nasreen Shabnam Imtiaz
    Xiaoling Jianhong Meiling Zhiwei Yifan Minjun Jiyeon Seoyeon Hyunwoo Takeshi Haruka Kenji Sakura Ayumi Thuy Quang
    Linh Anong Somchai Nattaporn Dewi Budi Siti Agung Jejomar Ligaya Tala Sione Mele Keanu Leilani Aiyana Tahoma Inés
    Joaquín Ximena Rocío Itziar Iker Núria Jordi Beatriz João Thiago Luísa Élodie Thibault Océane Loïc Ginevra Lorenzo
    Chiara Alessandro Jürgen Annegret Dieter Friederike Saskia Joost Maaike Pieter Astrid Torbjørn Sigrid Håkon Solveig
    Aino Eero Päivi Zbigniew Małgorzata Agnieszka Wojciech Vlasta Jiří Zdeněk Ilona Gábor Zsófia Mihai Ioana Dragoș
    Stavros Despina Vasiliki Yuriy Oleksandr Halyna Anatoly Lyudmila Tamar Nino Giorgi Armen Anahit Yael Moshe Shlomo
    Rivka Caoimhe Niamh Padraig Rhiannon Gwilym Morag Hamish Prudence Clementine Barnaby Cordelia Octavia Jayden Tamika
    Denzel LaShonda Wyatt Harper Skylar Brayden
"""
SURNAMES = """
    Adeyemi Ogunleye Nwosu Eze Mensah Boateng Kamau Odhiambo Mutasa Dlamini Nkosi Tesfaye Bekele Diallo Traoré Coulibaly
    Benali Haddadi Mansouri Khoury Farouk Nasser Hosseini Ahmadi Karimi Yılmaz Demir Öztürk Chatterjee Mukherjee
    Banerjee Krishnamurthy Subramanian Venkataraman Deshpande Kulkarni Dhillon Sandhu Grewal Chowdhury Siddiqi Qureshi
    Zhao Huang Xu Zheng Ouyang Kwon Hwang Seo Yamashita Fujimoto Kobayashi Inoue Matsuda Trinh Huynh Dang Suwannarat
    Wongsakul Wijaya Santoso Hartono Macaraeg Dimaculangan Tuilagi Faleolo Kealoha Begay Yazzie Etxeberria Ibáñez
    Quintana Zambrano Villaseñor Ferreira Carvalho Guimarães Lefebvre Beauchamp Delacroix Moreau Bianchi Ferrari
    Esposito Lombardi Schneider Hoffmeister Zimmermann Krüger Baumgartner Vos Dijkstra Hoekstra Bakker Bergström
    Andersson Nygaard Halvorsen Korhonen Mäkinen Virtanen Wiśniewski Kaczmarek Szymański Novák Dvořák Horváth Szabó
    Nagy Popescu Ionescu Dumitrescu Papadopoulos Karagiannis Economou Shevchenko Bondarenko Kuznetsov Volkov Morozova
    Beridze Kvaratskhelia Sargsyan Hakobyan Rosenbaum Goldfarb Mizrahi Peretz Gallagher O'Malley O'Sullivan McGrath
    MacLeod McKenzie Llewellyn Pritchard Cadwallader Thornbury Ashworth Hargreaves Blackwood Fairchild Lockhart
    Pemberton Hutchins Mayhew Stubbs Tillman Underwood Whitaker Boudreaux Thibodeaux Fontenot Washburn Hollis Draper
"""
FRAMES = """
    {n} is a 54-year-old woman with shortness of breath.
    I had the pleasure of meeting {n} in our clinic this morning.
    Thank you for referring {n}, who has had dysphagia for six weeks.
    Her daughter {f} drove her to the appointment.
    His son, {f}, provides most of the history.
    Spoke with {n} (sister) by telephone about the results.
    Per {n}, RN, the dressing was changed overnight.
    Results were called to {n} at the bedside.
    Critical finding communicated to {i}. {l} at the time of interpretation.
    cc: {n}
    {l}, {f} - follow-up visit.
    {L}, {F} {i}
    Pt {n} seen and examined with the team.
    {l} was extubated on the second day.
    Ms {l} lives alone and walks with a cane.
    Mr {l}'s wound has healed well.
    Prof. {l} kindly reviewed the slides.
    Surgeon: {n}
    Assistant: {i}.{i}. {l}
    The patient's husband, {n}, consented on her behalf.
    Specimen received labelled "{l}, {f}" in formalin.
    Specimen A is labelled with the name {n}.
    The slides of {n} were sent for a second opinion.
    Please book {n} for an MRI of the knee.
    A copy of this letter was sent to {n}.
    Mother's name is {f}.
    He goes by {f} and prefers to be called that.
    We discussed {f}'s case at the tumor board.
    {f} has been doing well since the operation.
    Baby {l} was delivered at 39 weeks.
    Baby girl {l} weighed 3,200 g.
    {f} and his wife attended with their child.
    Interpreter {n} was present throughout.
    Care was transferred to {n}, who accepted.
    On call: {n}, pager given.
    Anesthesia was given by {n}.
    The scan was protocolled by {l}.
    Reading radiologist {n} agrees.
    I, {n}, have personally reviewed the images.
    Electronically authenticated by {n}
    Dear {f},
    Dear Dr {l},
    Re: {n}
    Name of patient {n}
    Patient's mother {f} is worried about the fever.
    Her neighbour {n} found her on the floor.
    Fiancé {n} is the emergency contact.
    His grandson {f} translated for him.
    Lives with roommate {n}.
    Social worker {n} will arrange transport.
    Physical therapist {f} noted an unsteady gait.
    According to {n}, the pain started in May.
    {n} did not attend today.
    {n}'s chest film was normal.
    Seen with medical student {n}.
    The films belong to {n} and were mislabelled.
    Case presented by {n} at grand rounds.
    Images of {n} were uploaded in error.
    Previous study under the name {n} was retrieved.
    Patient ({n}) tolerated the contrast.
"""
"""`n`: a full name in one of its forms; `f`, `l`: given name and surname; `F`, `L`: in capitals; `i`: an initial."""
_FORMS = (
    *("{f} {l}",) * 6, "{f} {i}. {l}", "{f} {l}-{k}", "{f} van der {l}", "{f}-{g} {l}", "{i}. {l}", "{f} {L}",
    "{l}, {f}",
)  # fmt: skip


def planted_names(number: int, seed: int, *, held_out: bool) -> list[Planted]:
    """Texts of a few sentences with one name each; a name is left where any of its words is."""
    draw = random.Random(seed)
    given, surnames = (_half(words.split(), held_out) for words in (GIVEN, SURNAMES))
    frames = _half([line.strip() for line in FRAMES.strip().splitlines()], held_out)
    return [_planted(draw, given, surnames, frames) for _ in range(number)]


def _half(values: list[str], held_out: bool) -> list[str]:
    order = random.Random(len(values)).sample(values, len(values))
    return order[held_out::2]


def _planted(draw: random.Random, given: list[str], surnames: list[str], frames: list[str]) -> Planted:
    first, other = draw.sample(given, 2)
    last, second = draw.sample(surnames, 2)
    letters = {
        "f": first,
        "g": other,
        "l": last,
        "k": second,
        "F": first.upper(),
        "L": last.upper(),
        "i": draw.choice("ABCDEFGHJKLMNPRSTW"),
    }
    frame = draw.choice(frames).replace("{n}", draw.choice(_FORMS))
    said = frame.format(**letters)
    words = [letters[key] for key in ("f", "g", "l", "k", "F", "L") if f"{{{key}}}" in frame]
    before, after = draw.sample(FINDINGS, 2)
    mark = "\n" if not said.endswith(".") or said.endswith(f"{letters['i']}.") else " "
    return Planted(f"{before}{mark}{said}{mark}{after}", (("name", " ".join(words)),))
