"""The items of eval sets, as the channels see them."""

import pyarrow as pa

from sources.schema import GROUP, IMAGE_REF

ITEMS = pa.schema(
    [
        pa.field("eval_set", pa.string(), nullable=False),
        pa.field("eval_id", pa.string(), nullable=False),
        pa.field("split", pa.string()),
        pa.field("question", pa.string()),
        pa.field("options", pa.list_(pa.string())),
        pa.field("answer", pa.string()),
        pa.field("rationale", pa.string()),
        pa.field("context", pa.string()),
        pa.field("text", pa.string()),
        pa.field("images", pa.list_(IMAGE_REF)),
        pa.field("groups", pa.list_(GROUP)),
        pa.field("license", pa.string(), nullable=False),
        pa.field("access", pa.string(), nullable=False),
        pa.field("language", pa.string()),
        pa.field("digest", pa.string(), nullable=False),
    ]
)
"""One row per protected item. An item's *number* is its row in the table of all eval sets of an audit.

`question` is without its options and without prompts of the benchmark ("Answer with the option's letter ...").
`answer` is the text of the right option, not its letter. `context` is a passage the question is about, `rationale` an
explanation of the answer, `text` anything else that the item says (a report, a caption, a dialogue). `eval_id` is the
set's own id, else its file and row; of keyed sets it is keyed, as are the groups and the images' uris. `digest` is
BLAKE3 of the item's content.
"""
