"""The composition root: a folder with `assay.toml`, `evals/`, datasets and judges becomes evals that run."""
