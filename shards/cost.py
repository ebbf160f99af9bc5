"""What a row costs to train on, in millions of floating-point operations of a forward pass, from the model's shapes.

GPT-oss-20B behind CLIP-ViT-L/14@336px (`LlavaForConditionalGeneration`): a token takes 2 x 3.61e9 operations in the
weights it meets and 12 x 4 x 4096 x 128 in the twelve layers that look back 128 tokens; in the twelve others it
looks at all tokens of its document before it, 12 x 4 x 4096 x L^2 / 2 for a document of L. A tile takes
2 x 304e6 x 577 in the vision tower, 24 x 4 x 1024 x 577^2 in its attention and 2 x 11.2e6 x 576 in the projector.
Backward passes and recomputation multiply all of it by about the same number, which comparing rows does not need.
"""

import numpy as np
from numpy.typing import NDArray

PER_TOKEN = 2 * 3.61e9 + 12 * 4 * 4096 * 128
PER_SQUARE = 12 * 4 * 4096 / 2
PER_TILE = 2 * 303.5e6 * 577 + 24 * 4 * 1024 * 577**2 + 2 * 11.25e6 * 576


def document_costs(tokens_n: NDArray[np.int32], tiles_n: NDArray[np.int32]) -> NDArray[np.float64]:
    """Millions of operations for each document of so many tokens, its pictures' among them, and tiles: float64[n].

    Whole numbers below 2^53, so that sums are the same in any order.
    """
    length_n = tokens_n.astype(np.float64)
    costs = PER_TOKEN * length_n + PER_SQUARE * length_n * length_n + PER_TILE * tiles_n
    rounded: NDArray[np.float64] = np.rint(costs / 1e6)
    return rounded
