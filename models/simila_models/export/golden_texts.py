"""Texts that serving is known to get wrong: over-long, empty, in other scripts, with odd characters."""

GOLDEN_TEXTS: tuple[str, ...] = (
    "A plain sentence about a red bicycle leaning on a wall.",
    "How do I return a parcel that arrived damaged?",
    " ".join(f"word{number} follows the one before it" for number in range(100)),
    "",
    "Great 👍🏽 party 🎉 with the family 👨‍👩‍👧 in 🇫🇷!",
    "القطة تنام على السجادة قرب النافذة",
    "החתול ישן על השטיח ליד החלון",
    "一只猫睡在窗边的地毯上。",
    "bell\x07 null\x00 escape\x1b[0m zero\u200bwidth \ufeffmark",
    "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft" * 4,
    "first line\n\n\tsecond line,\r\nthird   with    spaces  ",
    "Crème brûlée, naïve façade, ﬁne ½ Ångström",
)
