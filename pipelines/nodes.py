"""Names of what is kept in `work/`: one folder a node, and no step of another package may take the name of ours.

A takedown goes by this list, too: what is not known to be free of content is deleted as a whole, or looked into.
"""

EXCHANGES = ("identity", "images", "exact", "modality_words")
OF_AN_EXCHANGE = ("keys", "runs", "solve", "answers")
"""An exchange `x` has the nodes `x_keys`, `x_runs` and so on."""
SEARCHES = ("near_text", "near_picture", "near_image")
OF_A_SEARCH = ("bands", "bands_runs", "buckets", "verify", "groups")
"""Nodes of a search for near-duplicates that hold hashes, ids and outcomes; in `_send` and `_gather` texts travel."""
OF_SETTLING = ("asks", "questions", "outcomes", "settle")
"""Nodes of the search among samples with pictures, where those are looked at again."""
WITHOUT_CONTENT = frozenset(
    {
        "plan", "token_counts", "measure", "modality", "quality", "text_quality", "license", "phi", "phi_pictures",
        "phi_seen",
        "tokens", "exact", "removed", "decontaminate", "sizes",
        "join_plan", "member_index", "packing_plan", "holdout", "holdout_links", "holdout_solve", "holdout_sides",
        *(f"{exchange}_{part}" for exchange in EXCHANGES for part in OF_AN_EXCHANGE),
        *(f"{search}_{part}" for search in SEARCHES for part in OF_A_SEARCH), "near_text", "near_image",
        *(f"near_image_{part}" for part in OF_SETTLING),
    }
)  # fmt: skip
"""Their commits hold row numbers, ids, hashes, counts and verdicts of ours, and no text or picture."""
WITH_CONTENT = frozenset({"ingest", "pictures", "publish", "write", "survey", "card", "modality_images", "energon"})
"""`survey` and `card` hold numbers and examples of samples."""
FAMILIES = ("join_", "contracts_", "near_", "audit_")
"""Rows of joined tables, values that contracts were checked on, texts on their way to be compared, what was searched
for eval items and what was found: all nodes that begin so."""
PLACES = frozenset({"tmp", "removal", "images", "identity"})
"""What else has its place there, or is a name of parts of commits."""
OF_A_STEP = ("", "_facts", *(f"_{part}" for part in OF_AN_EXCHANGE))
"""A step of another package has nodes of its name and these."""


def is_ours(node: str) -> bool:
    """Whether a node is one of this program's own."""
    return node in WITHOUT_CONTENT | WITH_CONTENT | PLACES or node.startswith(FAMILIES)


def is_taken(step: str) -> bool:
    """Whether a step of another package with this name would keep its work where ours is."""
    return any(is_ours(f"{step}{suffix}") for suffix in OF_A_STEP)


def holds_joined_rows(node: str) -> bool:
    """Whether commits of the node hold rows of a joined table, or what they are joined by."""
    return node.startswith("join_") and node not in WITHOUT_CONTENT
