"""Languages by their codes, as people call them in English."""

from __future__ import annotations

from django.conf.locale import LANG_INFO

from apps.datasets.formats.languages import UNDETERMINED

_OTHERS = {
    UNDETERMINED: "Can't be told",
    "zxx": "No language",
    "am": "Amharic",
    "an": "Aragonese",
    "arz": "Egyptian Arabic",
    "as": "Assamese",
    "ba": "Bashkir",
    "crh": "Crimean Tatar",
    "fo": "Faroese",
    "fy": "Frisian",
    "gd": "Scottish Gaelic",
    "grc": "Ancient Greek",
    "gu": "Gujarati",
    "ha": "Hausa",
    "ht": "Haitian Creole",
    "ig": "Igbo",
    "jv": "Javanese",
    "kab": "Kabyle",
    "ku": "Kurdish",
    "la": "Latin",
    "ln": "Lingala",
    "lo": "Lao",
    "mg": "Malagasy",
    "mt": "Maltese",
    "my": "Burmese",
    "oc": "Occitan",
    "om": "Oromo",
    "or": "Odia",
    "ps": "Pashto",
    "qu": "Quechua",
    "rw": "Kinyarwanda",
    "sa": "Sanskrit",
    "se": "Northern Sami",
    "si": "Sinhala",
    "sn": "Shona",
    "so": "Somali",
    "st": "Sotho",
    "tg": "Tajik",
    "tk": "Turkmen",
    "tl": "Tagalog",
    "tt": "Tatar",
    "uz": "Uzbek",
    "vo": "Volapük",
    "wa": "Walloon",
    "wuu": "Wu Chinese",
    "xh": "Xhosa",
    "yo": "Yoruba",
    "yue": "Cantonese",
    "zh": "Chinese",
    "zu": "Zulu",
}
"""Those that Django has no name of."""


def language_name(code: str) -> str:
    """The name of a language; its code where nobody wrote one down here."""
    known: str | None = LANG_INFO.get(code, {}).get("name")
    return _OTHERS.get(code) or known or code
