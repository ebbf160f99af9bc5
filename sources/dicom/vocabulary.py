"""Closed vocabularies of DICOM header codes: a value outside them is dropped, since free text can hold names."""

MODALITY_OF = {
    "BMD": "xray", "CR": "xray", "DR": "xray", "DX": "xray", "IO": "xray", "MG": "xray", "PX": "xray",
    "RF": "xray", "RG": "xray", "RTIMAGE": "xray", "XA": "xray",
    "CT": "ct", "MR": "mri", "US": "ultrasound", "IVUS": "ultrasound", "BDUS": "ultrasound", "PT": "pet",
    "OP": "fundus", "OPT": "oct", "IVOCT": "oct", "OCT": "oct",
    "SM": "histopathology", "GM": "microscopy", "CFM": "microscopy",
    "ES": "endoscopy", "XC": "photo", "DMS": "dermoscopy",
    "OT": "unknown",
    "ANN": "other_medical", "AR": "other_medical", "ASMT": "other_medical", "AU": "other_medical",
    "BI": "other_medical", "CTPROTOCOL": "other_medical", "DG": "other_medical", "DOC": "other_medical",
    "ECG": "other_medical", "EEG": "other_medical", "EMG": "other_medical", "EOG": "other_medical",
    "EPS": "other_medical", "FID": "other_medical", "HC": "other_medical", "HD": "other_medical",
    "IOL": "other_medical", "KER": "other_medical", "KO": "other_medical", "LEN": "other_medical",
    "LS": "other_medical", "M3D": "other_medical", "NM": "other_medical", "OAM": "other_medical",
    "OPM": "other_medical", "OPTBSV": "other_medical", "OPTENF": "other_medical", "OPV": "other_medical",
    "OSS": "other_medical", "PLAN": "other_medical", "POS": "other_medical", "PR": "other_medical",
    "REG": "other_medical", "RESP": "other_medical", "RTDOSE": "other_medical", "RTINTENT": "other_medical",
    "RTPLAN": "other_medical", "RTRAD": "other_medical", "RTRECORD": "other_medical",
    "RTSEGANN": "other_medical", "RTSTRUCT": "other_medical", "RWV": "other_medical", "SEG": "other_medical",
    "SMR": "other_medical", "SR": "other_medical", "SRF": "other_medical", "STAIN": "other_medical",
    "TEXTUREMAP": "other_medical", "TG": "other_medical", "VA": "other_medical", "XAPROTOCOL": "other_medical",
}  # fmt: skip
"""(0008,0060) Modality (PS3.3 C.7.3.1.1.1) -> modality of this project.

Radiofluoroscopy and angiography are projections of X-rays. Ophthalmic photography is of the fundus but for rare
slit-lamp pictures. Nuclear medicine that is not PET, curves, plans and doses are `other_medical`; OT says nothing.
"""

MODALITY_WORDS = {
    "xray": "X-ray", "ct": "CT", "mri": "MRI", "ultrasound": "Ultrasound", "pet": "PET",
    "fundus": "Fundus photograph", "oct": "Optical coherence tomography",
    "histopathology": "Histopathology slide", "microscopy": "Microscopy", "endoscopy": "Endoscopy",
    "dermoscopy": "Dermoscopy", "photo": "Clinical photograph",
}  # fmt: skip
CODE_WORDS = {
    "MG": "Mammogram", "XA": "X-ray angiography", "RF": "Fluoroscopy", "IO": "Intra-oral X-ray",
    "PX": "Panoramic dental X-ray", "NM": "Nuclear medicine image", "IVUS": "Intravascular ultrasound",
}  # fmt: skip
"""Codes whose own name says more than their modality's."""

BODY_PARTS = {
    "ABDOMEN": "abdomen", "ABDOMENPELVIS": "abdomen and pelvis", "ADRENAL": "adrenal gland", "ANKLE": "ankle",
    "ANUS": "anus", "AORTA": "aorta", "APPENDIX": "appendix", "ARM": "arm", "ARTERY": "artery",
    "AXILLA": "axilla", "BACK": "back", "BILEDUCT": "bile duct", "BLADDER": "bladder", "BODY": "body",
    "BONE": "bone", "BRAIN": "brain", "BREAST": "breast", "BRONCHUS": "bronchus", "BUTTOCK": "buttock",
    "CALCANEUS": "calcaneus", "CALF": "calf", "CAROTID": "carotid artery", "CCA": "common carotid artery",
    "CEREBELLUM": "cerebellum", "CERVIX": "cervix", "CHEEK": "cheek", "CHEST": "chest",
    "CHESTABDOMEN": "chest and abdomen", "CHESTABDPELVIS": "chest, abdomen and pelvis",
    "CIRCLEOFWILLIS": "circle of Willis", "CLAVICLE": "clavicle", "COCCYX": "coccyx", "COLON": "colon",
    "CORNEA": "cornea", "CORONARYARTERY": "coronary artery", "CSPINE": "cervical spine",
    "CTSPINE": "cervicothoracic spine", "DUODENUM": "duodenum", "EAR": "ear", "ELBOW": "elbow",
    "ENDOMETRIUM": "endometrium", "ESOPHAGUS": "esophagus", "EXTREMITY": "extremity", "EYE": "eye",
    "EYELID": "eyelid", "FACE": "face", "FEMUR": "femur", "FINGER": "finger", "FOOT": "foot",
    "FOREARM": "forearm", "GALLBLADDER": "gallbladder", "GROIN": "groin", "HAND": "hand", "HEAD": "head",
    "HEADNECK": "head and neck", "HEART": "heart", "HIP": "hip", "HUMERUS": "humerus", "ILEUM": "ileum",
    "ILIUM": "ilium", "IAC": "internal auditory canal", "JAW": "jaw", "JEJUNUM": "jejunum", "KIDNEY": "kidney",
    "KNEE": "knee", "LARYNX": "larynx", "LEG": "leg", "LIVER": "liver", "LOWERLEG": "lower leg",
    "LOWERLIMB": "lower limb", "LSPINE": "lumbar spine", "LSSPINE": "lumbosacral spine", "LUNG": "lung",
    "MAXILLA": "maxilla", "MEDIASTINUM": "mediastinum", "MOUTH": "mouth", "NECK": "neck",
    "NECKCHEST": "neck and chest", "NECKCHESTABDPELV": "neck, chest, abdomen and pelvis", "NOSE": "nose",
    "ORBIT": "orbit", "OVARY": "ovary", "PANCREAS": "pancreas", "PAROTID": "parotid gland",
    "PATELLA": "patella", "PELVIS": "pelvis", "PENIS": "penis", "PHARYNX": "pharynx", "PLACENTA": "placenta",
    "PROSTATE": "prostate", "RADIUS": "radius", "RADIUSULNA": "radius and ulna", "RECTUM": "rectum",
    "RETINA": "retina", "RIB": "rib", "SCALP": "scalp", "SCAPULA": "scapula", "SCROTUM": "scrotum",
    "SELLA": "sella turcica", "SHOULDER": "shoulder", "SIJOINT": "sacroiliac joint", "SINUS": "sinus",
    "SKIN": "skin", "SKULL": "skull", "SPINE": "spine", "SPINALCORD": "spinal cord", "SPLEEN": "spleen",
    "SSPINE": "sacrum", "STERNUM": "sternum", "STOMACH": "stomach", "TESTIS": "testis", "THIGH": "thigh",
    "THORAX": "thorax", "THUMB": "thumb", "THYMUS": "thymus", "THYROID": "thyroid",
    "TIBIAFIBULA": "tibia and fibula", "TLSPINE": "thoracolumbar spine", "TMJ": "temporomandibular joint",
    "TOE": "toe", "TONGUE": "tongue", "TOOTH": "tooth", "TRACHEA": "trachea", "TSPINE": "thoracic spine",
    "ULNA": "ulna", "UPPERARM": "upper arm", "UPPERLIMB": "upper limb", "URETER": "ureter",
    "URETHRA": "urethra", "UTERUS": "uterus", "VAGINA": "vagina", "VULVA": "vulva",
    "WHOLEBODY": "whole body", "WRIST": "wrist", "ZYGOMA": "zygoma",
}  # fmt: skip
"""(0018,0015) Body Part Examined (PS3.16 Annex L) -> words."""

VIEWS = {
    "AP": "AP", "PA": "PA", "LL": "left lateral", "RL": "right lateral", "LAT": "lateral",
    "LATERAL": "lateral", "LLD": "left lateral decubitus", "RLD": "right lateral decubitus",
    "LLO": "left lateral oblique", "RLO": "right lateral oblique", "LAO": "left anterior oblique",
    "RAO": "right anterior oblique", "LPO": "left posterior oblique", "RPO": "right posterior oblique",
    "OBLIQUE": "oblique", "CC": "craniocaudal", "MLO": "mediolateral oblique", "ML": "mediolateral",
    "LM": "lateromedial", "LMO": "lateromedial oblique", "FB": "caudocranial", "XCC": "exaggerated craniocaudal",
    "XCCL": "laterally exaggerated craniocaudal", "XCCM": "medially exaggerated craniocaudal",
    "SIO": "superolateral to inferomedial oblique",
}  # fmt: skip
"""(0018,5101) View Position (PS3.3 C.8.1.2 and C.8.11.5; mammography PS3.16 CID 4014) -> words."""

SIDES = {"L": "left", "R": "right", "B": "both sides", "U": ""}
"""(0020,0060) Laterality and (0020,0062) Image Laterality; U is unpaired."""

PHOTOMETRIC = frozenset({
    "MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT",
    "YBR_PARTIAL_422", "YBR_PARTIAL_420", "HSV", "ARGB", "CMYK", "XYB",
})  # fmt: skip
IMAGE_TYPES = frozenset({
    "ORIGINAL", "DERIVED", "PRIMARY", "SECONDARY", "AXIAL", "LOCALIZER", "REFORMATTED", "MPR", "PROJECTION",
    "PROJECTION IMAGE", "MIP", "MINIP", "VOLUME", "VOLUME_RENDER", "THUMBNAIL", "LABEL", "OVERVIEW",
    "RESAMPLED", "NONE", "MIXED", "SCREEN SAVE", "SCREENSAVE", "OTHER", "SINGLE PLANE", "BIPLANE A",
    "BIPLANE B", "STATIC", "DYNAMIC", "GATED", "WHOLE BODY", "TOMO", "RECON TOMO", "M", "M_SE", "M_FFE", "P",
    "ADC", "DIFFUSION", "T1 MAP", "T2 MAP", "FRONTAL", "LATERAL",
})  # fmt: skip
"""(0008,0008) Image Type (PS3.3 C.7.6.1.1.2 and the IODs'): other values of it are dropped one by one."""

CONVERSIONS = frozenset({"DV", "DI", "DF", "WSD", "SD", "SI", "DRW", "SYN"})
YES_NO = frozenset({"YES", "NO"})
