"""The blocks of docs/gpu.md run, on a card or on what stands for it."""

import test_docs


def test_the_page_runs(cupy, tmp_path):
    page = test_docs.Page(test_docs.ON_A_GPU, tmp_path)
    assert page.blocks
    page.run(len(page.blocks) - 1)
