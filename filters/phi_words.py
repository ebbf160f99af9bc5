"""Words that decide what is a person's name: given names, and names that medicine has made its own."""

_GIVEN_NAMES = """
    Billy Bobby Brittany Elijah Joe Kayla Liam Mason Brianna Caleb Dana Deshawn Hailey Jasmine Keisha Latoya Malik
    Mariana Paige Priscilla Rasheed Svetlana Tomasz Wei
    Aaron Abdul Abdullah Abigail Adam Adrian Adriana Agnes Ahmad Ahmed Aisha Alan Albert Alejandra Alejandro
    Alexander Alexandra Alexis Alfred Ali Alice Alicia Alison Allison Amanda Amelia Amina Amir Amit Amy Ana Andre
    Andrea Andreas Andrei Andrew Angela Anil Anita Anjali Ann Anna Anne Annette Annie Anthony Antonio Anton Aoife
    Arjun Arnold Arthur Ashley Audrey Barbara Beatrice Ben Benjamin Bernard Beth Betty Beverly Brandon Brenda Brian
    Bridget Bruce Bryan Caitlin Cameron Camille Carl Carla Carlos Carmen Carol Caroline Carolyn Catherine Cecilia
    Chad Charles Charlotte Cheryl Chloe Chris Christian Christina Christine Christopher Cindy Claire Clara Claudia
    Clifford Colin Connie Connor Corey Courtney Craig Cynthia Daniel Daniela Danielle Darren David Dawn Deborah
    Debra Deepak Denise Dennis Derek Diana Diane Diego Dimitri Dmitri Dolores Dominic Donald Donna Doris Dorothy
    Douglas Duncan Dylan Earl Eddie Edith Edward Edwin Eileen Elaine Eleanor Elena Elizabeth Ella Ellen Emily Emma
    Emmanuel Eric Erica Erik Erin Ernest Esther Ethan Eugene Eva Evelyn Fatima Felix Fernando Fiona Florence Frances
    Francesca Francis Francisco Fred Frederick Gabriel Gabriela Gareth Gary Gavin Geoffrey George Gerald Geraldine
    Giovanni Giulia Gladys Glenn Gloria Gordon Greg Gregory Guadalupe Hannah Hans Harold Harriet Harry Hassan
    Heather Hector Heidi Helen Henry Herbert Hiroshi Howard Hugo Ian Ibrahim Ingrid Irene Isabel Isabella Ivan Jacob
    Jacqueline James Jamie Jane Janet Janice Jared Jason Javier Jean Jeffrey Jennifer Jenny Jeremy Jerome Jerry
    Jesse Jessica Jesus Jill Joan Joanna Joanne Joel John Johnny Jonathan Jordan Jorge Jose Joseph Josephine Joshua
    Joyce Juan Juanita Judith Judy Julia Julian Julie Justin Karen Karl Katarzyna Kate Katherine Kathleen Kathryn
    Kathy Katie Keith Kelly Kenneth Kevin Kimberly Kristen Kristin Krzysztof Kumar Kyle Larry Laura Lauren Laurie
    Lawrence Leah Lee Leo Leon Leonard Leroy Leslie Lillian Linda Lisa Logan Lois Lori Louis Louise Lucas Lucia
    Lucille Lucy Luis Luke Lydia Lynn Madison Malcolm Marcus Margaret Maria Mariam Marie Marilyn Mario Marion
    Marjorie Marlene Marsha Martha Martin Marvin Mary Mateo Matthew Maureen Maurice Megan Mehmet Melanie Melissa
    Melvin Mia Michael Michelle Miguel Mildred Mohamed Mohammad Mohammed Molly Monica Monique Muhammad Nadia Nancy
    Naomi Natalia Natalie Natasha Nathan Neil Nicholas Nicola Nicole Nigel Nikhil Nina Noah Noor Nora Norman Oliver
    Olivia Omar Oscar Owen Pablo Pamela Patricia Patrick Paul Paula Pauline Pedro Peggy Peter Philip Phillip Phyllis
    Pierre Priya Rachel Rafael Rajesh Ralph Ramesh Ramon Randall Randy Raul Raymond Rebecca Regina Renee Ricardo
    Richard Rita Robert Roberto Robin Rodney Roger Roland Ronald Rosemary Roy Russell Ruth Ryan Sally Samantha
    Samuel Sandra Sanjay Santiago Sara Sarah Scott Sean Sebastian Sergei Sergio Seth Shannon Sharon Shawn Sheila
    Sherry Shirley Sofia Sonia Sophia Sophie Stacy Stanley Stefan Stephanie Stephen Steve Steven Stuart Sunil Susan
    Suzanne Sven Sylvia Tamara Tammy Tanya Teresa Terrence Terry Theodore Theresa Thomas Tiffany Timothy Tina Todd
    Tony Tracy Travis Trevor Tyler Ursula Valerie Vanessa Vernon Veronica Vijay Vincent Vivian Vladimir Walter Wanda
    Warren Wayne Wendy William Wilma Xavier Yasmin Yolanda Yuki Yusuf Yvonne Zachary Zoe
"""
GIVEN_NAMES = frozenset(_GIVEN_NAMES.split())
"""Common given names of several countries, without those that are common words (Grace, Mark, May, Will ...)."""

_EPONYMS = """
    Ahmed Bernard Bryan Caton Craig Joseph Lag Louis Mason Ranawat Randall Sylvia Insall Salvati Deschamps
    Achilles Addison Adson Allen Alport Alzheimer Amsler Apgar Argyll Arnold Asherman Aschoff Auer Babinski Bair
    Baker Bankart Barlow Barr Barrett Bartholin Barton Basedow Batson Batten Bazett Becker Beck Behcet Behçet Bell
    Bence Bennett Berger Binswanger Blalock Blount Bochdalek Boerhaave Bosniak Bouchard Boutonniere Bowen Bowman
    Breslow Brenner Broca Brodie Brodmann Brown Bruch Brugada Brunner Budd Buerger Burkitt Caroli Caplan Castleman
    Chagas Charcot Chiari Child Chilaiditi Churg Clark Coats Cobb Codman Colles Conn Cooley Coombs Couinaud Cooper
    Cowden Cowper Creutzfeldt Crigler Crohn Cronkhite Cushing Dandy Darier Denonvilliers Denver Dercum Descemet
    DiGeorge Doppler Douglas Down Dressler Dubin Duchenne Dukes Dupuytren Duroziez Ebstein Edwards Ehlers
    Eisenmenger Ellis Epstein Erb Erdheim Erlenmeyer Eustachian Evans Ewing Fabry Fallopian Fallot Fanconi Felty
    Fisher Fleischner Foley Fontan Fontana Forrest Fournier Freiberg Friedreich Fuhrman Fuchs Fukuyama Galeazzi
    Galen Ganz Gardner Garre Gaucher Gerota Giemsa Gilbert Gleason Glenn Glisson Goodpasture Gorham Gorlin Gottron
    Gram Graves Grave Grynfeltt Guillain Gustilo Guyon Hageman Hailey Hamman Hampton Hand Harris Hartmann Hartnup
    Hashimoto Hasselbalch Haversian Heberden Heinz Henle Henoch Hering Hickman Higoumenakis Hill Hippel Hirschsprung
    His Hodgkin Hoffa Hoffmann Holter Homan Homans Horner Hounsfield Howell Huntington Hurler Hurthle Hutchinson
    Ivemark Jaffe Jakob Jefferson Jones Kaplan Kaposi Karnofsky Kartagener Kasabach Kasai Kawasaki Kayser Kearns
    Kerley Kernig Kellgren Kerckring Kienbock Kienböck Killian Kimura Kirschner Klatskin Klinefelter Klippel Kocher
    Köhler Kohler Koch Korsakoff Krukenberg Kupffer Kussmaul Lachman Ladd Lambert Langer Langerhans Langhans Laron
    Lauren Lawrence Le Legg Leigh Leriche Leser Lesch Lewy Leydig Libman Lichtenstein Lindau Lisfranc Lister Littre
    Lobstein Löffler Loeffler Ludwig Luschka Lyme Lynch Maffucci Magendie Maisonneuve Mallory Malgaigne Mantoux
    Marfan Marshall Masson Mayer Mayo McBurney McArdle McCune Meckel Meigs Meissner Mendelson Menetrier Ménétrier
    Meniere Ménière Menkes Merkel Mikulicz Milkman Miller Mirizzi Mobitz Möbius Moebius Mohs Mohr Mondor Monro
    Monteggia Montgomery Moraxella Morgagni Morison Morton Moses Mullerian Müllerian Munchausen Murphy Negri Nissl
    Noonan Norwood Oddi Ogilvie Ohngren Ollier Ortner Osgood Osler Pacchionian Paget Pancoast Papanicolaou Pap
    Parinaud Parkes Parkinson Patau Patrick Perthes Peutz Peyer Peyronie Pfannenstiel Phalen Pick Pierre Pindborg
    Plummer Poland Pompe Poiseuille Port Pott Potter Pouparts Prader Prinzmetal Purkinje Quervain Ramsay Ranke
    Rankin Ranson Rathke Raynaud Reed Reinke Reiter Rendu Rett Retzius Reye Richter Riedel Rinne Robin Robinson
    Rokitansky Rolando Romberg Rorschach Rosai Rotter Roux Rovsing Ruysch Salter Scarpa Scheuermann Schatzki
    Schiller Schilling Schlemm Schmorl Schober Schwann Segond Seldinger Sertoli Sever Sezary Sézary Sheehan Shone
    Shwachman Sister Sjogren Sjögren Skene Sly Smith Snellen Spiegel Spigelian Sprengel Starling Steinberg Stein
    Stener Stevens Stickler Still Stokes Sturge Sudeck Swan Swyer Sydenham Sylvius Takayasu Takotsubo Tanner Tarlov
    Tay Tenon Terry Thiersch Thomas Thomsen Tietze Tinel Todd Tourette Tornwaldt Trendelenburg Treitz Trousseau
    Turcot Turner Unna Valsalva Vater Virchow Volkmann Voigt von Waardenburg Waldenstrom Waldenström Waldeyer
    Wallenberg Warthin Waterhouse Weber Wegener Weil Wells Werdnig Wermer Wernicke Wharton Whipple Willebrand
    Williams Willis Wilms Wilson Winslow Wirsung Wiskott Wolff Wood Wormian Zellweger Zenker Ziehl Zollinger Bland
    Altman Meier Cox Mann Whitney Wilcoxon Student Kruskal Wallis Bonferroni Pearson Spearman Cohen Western Northern
    Southern Sanger Illumina Golgi Congo Sirius Prussian Perls Alcian Oil Sudan Grocott Gomori Verhoeff Wright Neer
    Garden Lauge Hansen Schatzker Frykman Ficat Hawkins Ideberg Judet Letournel Pipkin Winquist Rockwood Denis Lenke
    Bishop Mallampati Glasgow Fitzpatrick Norton Braden Barthel Hamilton Yale Stanford Wechsler Fagerstrom Likert
    Marsh Stafne Angle Kennedy Hawley Frankfort Robson Mayfield Gamma Bethesda Banff Milan Nottingham Oxford Broviac
    Quinton Tenckhoff Malecot Jackson Pratt Penrose Blakemore Sengstaken Harrington Kuntscher Küntscher Austin Moore
    Billroth Nissen Toupet Heller Ivor Lewis Bentall Ross Jatene Mustard Senning Rastelli Waterston Potts Carpentier
    Björk Starr Medtronic Amplatzer Greenfield Günther Gunther Gianturco Palmaz Wallstent Bassini Shouldice
"""
EPONYMS = frozenset(_EPONYMS.split())
"""Names that stand for a disease, sign, stain, score, test, device or structure: alone they are nobody's."""

_AFTER_EPONYM = """
    syndrome disease diseases sign signs phenomenon tumor tumour tumors tumours lymphoma sarcoma carcinoma cancer
    cell cells body bodies node nodes nodule nodules ring rings duct ducts gland glands fracture fractures deformity
    lesion lesions hernia diverticulum diverticula cyst cysts ulcer ulcers catheter catheters tube tubes drain stain
    staining stained test tests score scores scale grade grading classification classified criteria criterion index
    stage staging type procedure operation technique method maneuver manoeuvre position view views approach line
    lines angle space pouch fossa fissure fascia ligament tendon triangle layer membrane capsule canal foramen valve
    reflex palsy paralysis chorea ataxia encephalopathy dementia thyroiditis arteritis granulomatosis esophagus
    oesophagus nephropathy anomaly malformation tetralogy complex crisis contracture dystrophy anemia anaemia
    granuloma agent phase units unit field clamp forceps needle wire filter stent graft flap pump medium solution
    blot analysis plot curve plots curves equation correction law effect regression model exact rank correlation
    kappa pulse pulses murmur osteotomy prosthesis rod pins melanoma mole nevus plaque plaques spots zone area
    artery vein nerve ganglion plexus vessel defect shunt repair anastomosis fibers fibres islets
"""
AFTER_EPONYM = frozenset(_AFTER_EPONYM.split())
"""What follows an eponym, as a word of its own."""
AFTER_WORD = AFTER_EPONYM | frozenset(
    """
    matter blood axis bone bones bowel airway airways vessel vessels section sections pain film films limb leg tissue
    clinic clinics service unit ward team surgeon surgeons radiograph radiographs
    """.split()  # noqa: SIM905 - a list of words reads better as one text
)
"""What follows eponyms and other words where they are nobody's name."""

TITLES = (
    r"(?:(?:(?i:Drs?|Mrs|Mx|Prof|Rev|Sgt|Sra|Mme)|[Mm][rs])(?:\.\s*|\s+)|"
    r"(?i:Miss|Professor|Doctor|Señora?|Herr|Frau|Monsieur|Madame)\s+|M[RS]\.\s*)"
)
"""With the stop or blank that follows. `MR` and `MS` without a stop are an imaging method and a disease."""

_NOT_A_NAME = """
    Index Screw Criterion Pediatric Plate Device Maladaptive Ratio Valve Mode Protocol System Model Software Camera
    A An And Are As At Be But By For From Had Has Have He Her His If In Into Is It Its No Nor Not Of On Or Our She
    So Than That The Their Then There These They This Those To Was We Were When Where Which While Who With Without
    Abdomen Abdominal Absent Acute Adult After All Also Anatomy Angiogram Angiography Anterior Aorta Aortic Arrow
    Arrows Arterial Artery Assessment Axial Baseline Before Benign Bilateral Biopsy Bladder Blood Bone Both Bowel
    Brain Breast Bronchial Cancer Carcinoma Cardiac Case Central Cerebral Cervical Chest Child Chronic Clear Clinic
    Clinical Color Colour Comparison Compared Complete Complex Computed Contrast Control Coronal Coronary Cortex
    Cross Cyst Day Days Deep Department Diagnosis Diffuse Discharge Disease Distal Doctor Doppler Dose
    Echocardiogram Edema Effusion Elderly Emergency Endoscopic Enlarged Evaluation Exam Examination Facial Family
    Female Femoral Femur Figure Final Findings Finding First Follow Foot Fracture Frontal General Good Grade Group
    Head Heart Hepatic High Hip History Hospital Human Image Images Imaging Impression Inferior Initial Internal
    Kidney Knee Large Lateral Left Lesion Limited Liver Long Low Lower Lumbar Lung Lungs Lymph Magnetic Male Marked
    Mass Maternal Maxillary Medial Medical Medicine Mild Minimal Moderate Month Months Multiple Muscle Neck Nerve
    Newborn Node Nodule Non Normal Note Nurse Oblique Old Other Panoramic Patient Patients Pelvic Pelvis Photo
    Photograph Physician Plain Plan Pleural Positive Post Posterior Postoperative Pregnant Preoperative Present
    Primary Prior Prostate Proximal Pulmonary Radiograph Radiographic Radiography Radiology Red Renal Report
    Resonance Respiratory Result Results Review Right Round Sagittal Same Scale Scan Section Sections Serial Severe
    Shoulder Short Side Signs Single Skin Skull Small Soft Spinal Spine Spleen Stable Stage Status Stomach Study
    Subject Superior Surgery Surgical Symptoms Table Team Technique Test Thoracic Three Thyroid Tissue Today Total
    Transverse Treatment Tumor Tumour Two Type Ultrasonography Ultrasound Unchanged Upper Uterus Vascular Vein
    Venous Ventricular Vertebral View Views Week Weeks Well White Wide Woman Women Wound Year Years Yes Young
    Courtesy Showing Presenting Trauma Slice Slices Undergoing Receiving Diagnosed Treated Demonstrating
    Demonstrates Shows Permission Source Obtained Taken Provided Using Under During Following According Through
    Between Within Over Admission Adenoma Allergies Arm Assistant Attending Back Birth Cells Code Consultant Contact
    Course Date Dear Diabetes Drug Ear Eye Fetal Fetus Hand Health Indication Indications Infant Leg Man Men
    Medication Medications Mother Mouse Mice Name Negative Number Pain Physical Procedure Rat Recommendation
    Recommendations Referring Remarks Signed Sample Seen Social Specimen State Time Unit Unremarkable Vital Ward
    X-ray Xray Monday Tuesday Wednesday Thursday Friday Saturday Sunday January February March April May June July
    August September October November December American European Asian African Chinese Japanese Indian British
    German French Italian Spanish Hispanic Caucasian Korean Turkish Brazilian Russian Greek Latin Arabic English
"""
NOT_A_NAME = frozenset(_NOT_A_NAME.split())
"""Words with a capital letter in reports and captions that are no one's name."""

MEDICAL_ENDINGS = (
    "itis", "oma", "omas", "osis", "oses", "emia", "aemia", "ectomy", "ostomy", "otomy", "pathy", "graphy", "gram",
    "scopy", "plasty", "megaly", "algia", "plegia", "penia", "uria", "rrhea", "rrhage", "ectasis", "lysis", "trophy",
    "plasia", "plasm", "esis", "ism", "iasis", "eal", "oid", "ous", "ial", "ular", "osal", "enic", "olic", "otic",
    "mab", "nib", "pril", "sartan", "olol", "statin", "cillin", "mycin", "micin", "floxacin", "azole", "prazole",
    "idine",
    "azepam", "barbital", "caine", "dipine", "fenac", "gliptin", "gliflozin", "parin", "profen", "setron", "sone",
    "solone", "terol", "thiazide", "triptan", "tidine", "vastatin", "vir", "xaban", "zepam", "amide", "amine", "asone",
    "cept", "cycline", "lukast", "formin", "phylline", "platin", "rubicin", "taxel", "toin", "trexate", "zolamide",
    "bacter", "coccus", "bacillus", "ella", "myces", "virus", "plasma", "monas", "sporum", "phage", "cyte", "blast",
    "globin", "ase", "ine", "ium", "tion", "sion", "ment", "ness", "logy", "metry", "therapy", "ated", "ized", "ised",
)  # fmt: skip
"""How words end that are diseases, procedures, drugs, germs and tissues."""

_RELATIVES = """
    mother father son daughter brother sister parent child wife husband niece nephew aunt uncle cousin partner spouse
    fiance fiancé fiancee fiancée girlfriend boyfriend friend neighbour neighbor roommate flatmate housemate caregiver
    carer guardian twin widow widower grandmother grandfather grandson granddaughter stepmother stepfather stepson
    stepdaughter mom mum dad grandma grandpa
"""
RELATIVES = frozenset(_RELATIVES.split())
_ROLES = """
    nurse midwife doctor physician surgeon radiologist radiographer pathologist sonographer technologist technician
    cardiologist neurologist oncologist urologist nephrologist hematologist haematologist dermatologist
    endocrinologist gastroenterologist pulmonologist anesthesiologist anaesthesiologist anesthetist anaesthetist
    psychologist psychiatrist gynecologist gynaecologist ophthalmologist rheumatologist pediatrician paediatrician
    dentist pharmacist practitioner hospitalist intensivist consultant registrar resident fellow intern therapist
    physiotherapist dietitian dietician nutritionist audiologist optometrist podiatrist paramedic chaplain interpreter
    translator counselor counsellor coordinator secretary clerk scribe aide assistant student worker manager attorney
    lawyer officer teacher employer donor recipient tech
    gp pcp rn np
"""
ROLES = frozenset(_ROLES.split())
"""Beside relatives and roles a name may stand."""

_NOBODY = """
    age home charge cardiology neurology urology oncology hematology haematology nephrology dermatology pathology
    radiology pulmonology rheumatology gastroenterology endocrinology gynecology gynaecology ophthalmology
    otolaryngology anesthesiology neurosurgery surgery psychiatry pediatrics paediatrics obstetrics orthopedics
    orthopaedics ortho geriatrics anesthesia anaesthesia medicine pharmacy nursing emergency trauma transplant hospice
    nutrition dietetics transport security billing registration triage telemetry dialysis infectious interventional
    palliative physiotherapy rehabilitation dentistry laboratory lab microbiology cytology histology endoscopy
    angiography ultrasound mammography department service services unit ward team board committee clinic office staff
    faculty group panel multidisciplinary tumor tumour consensus consult primary covering admitting attending cards
    cardio onc pulm heme colorectal urogyn neuro gi surg peds psych fellow outpatient inpatient specialist registrar
    records record occupational icu ccu interface disease diseases nephro associates medicare designee

    self none nothing unknown unspecified undisclosed anonymous anonymized same other others not pending deferred
    withheld declined refused automatic automated manual computer software system various multiple noted see please
    above below available unavailable applicable deceased alive living dead healthy adopted estranged retired unemployed
    unassigned initials phone pager dob mrn sex gender forename surname accession modality room relationship address
    signature notified aware letter practice referral swab cadaveric autologous vietnamese immune identified take
    illegible file

    yes yeah yep yup nope nah hm mm welcome ma'am madam sir mister doc okey okay ok alright sure right hello hi hey
    thanks thank sorry please well oh ah um uh hmm great good fine cool nice perfect wonderful bad better worse
    sometimes never always maybe perhaps probably definitely exactly correct absolutely certainly actually honestly
    really usually mostly mainly generally currently recently lately today yesterday tonight tomorrow now then still
    just only about around almost pretty quite very everything anything something someone nobody everybody morning
    afternoon evening because but and or so also what any when where why how who which that this these those there here
    it i'm i've it's that's don't doesn't my your

    supine prone standing sitting seated upright erect semi-erect recumbent awake alert oriented sedated intubated
    ambulatory asymptomatic symptomatic smoker nonsmoker non-smoker ex-smoker conscious unconscious unresponsive
    cooperative uncooperative comfortable agitated anxious confused drowsy lethargic nervous tolerated reported
    controlled centered centred global outcome outcomes satisfaction education safety positioning preparation walking
    running lifting bending eating drinking sleeping breathing swallowing coughing talking smoking taking feeling having
    getting going being doing using response

    aspirin tylenol advil motrin ibuprofen penicillin metformin insulin acetaminophen paracetamol prednisone warfarin
    headache headaches nausea vomiting dizziness fatigue fever chills cough rash swelling weakness numbness tingling
    itching bleeding bruising shortness difficulty trouble loss sore throat weight stroke asthma hypertension alcohol
    recommends recommended requests requested advised advises thinks wants says said sickle factor ovarian spina bifida
    rubella lupus gout emphysema glaucoma epilepsy migraine migraines dementia pneumonia pneumocystis colitis leukemia
    leukaemia eclampsia lung driver training prep creole sequence karyotype genotype glucose
"""
NOBODY = frozenset(_NOBODY.split())
"""What stands behind headings and roles and is nobody: departments, states, and how a patient's answers begin."""
